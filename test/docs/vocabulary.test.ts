/** Documents and code have the same words, both ways: codes, reasons, fields, headers, metrics, builtins, inputs and bounds. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { conditionsReference } from '../../scripts/reference/conditions.ts';
import { errorsReference } from '../../scripts/reference/errors.ts';
import { kindsReference } from '../../scripts/reference/kinds.ts';
import { metricsReference } from '../../scripts/reference/metrics.ts';
import { KINDS } from '../../src/api/kinds.ts';
import { ALARM_REASONS } from '../../src/audit/alarm.ts';
import { DENIAL_REASONS } from '../../src/authority/decision.ts';
import { cliReference } from '../../src/cli/reference.ts';
import { REFUSALS } from '../../src/gateway/refusal.ts';
import { BUILTINS } from '../../src/policy/capabilities.ts';
import { ERRORS } from '../../src/sts/errors.ts';
import { LISTED_DECISIONS } from '../../src/sts/operate/authorities.ts';
import { parseTokenForm } from '../../src/sts/tokenForm.ts';
import { ROOT, codeSpans, column, documents, read, section, written } from './texts.ts';

const source = (folder: string): string =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(ROOT, folder, path), 'utf8'))
    .join('\n');

const everything = source('src');
const all = documents.map(read).join('\n');
const spans = new Set(written.flatMap((path) => codeSpans(read(path))));
const unique = (words: Iterable<string>) => [...new Set(words)].sort();

describe('the generated references', () => {
  const generated: Readonly<Record<string, () => string>> = {
    kinds: kindsReference,
    conditions: conditionsReference,
    errors: errorsReference,
    cli: cliReference,
    metrics: metricsReference,
  };
  it.each(Object.keys(generated))('%s.md says what the code says', (name) => {
    expect(read(`docs/reference/${name}.md`)).toBe(generated[name]!());
  });
});

describe('debugging a denial', () => {
  const guide = read('docs/guides/debug-denial.md');

  it('names every reason of a denied exchange, and none besides', () => {
    const atExchange = section(guide, '## At the exchange');
    const named = codeSpans(atExchange).filter((span) => span in DENIAL_REASONS);
    expect(unique(named)).toEqual(unique(Object.keys(DENIAL_REASONS)));
  });

  it('gives each code the status that it is sent with', () => {
    const sent = (heading: string) =>
      [...section(guide, heading).matchAll(/\b([45]\d\d) `([a-z_]+)`/g)].map(
        (match) => [match[2]!, Number(match[1])] as const,
      );
    const wrongSTS = sent('## At the exchange').filter(([code, status]) => {
      const statuses: readonly number[] = code in ERRORS ? ERRORS[code as keyof typeof ERRORS].statuses : [];
      return !statuses.includes(status);
    });
    const wrongGateway = sent('## At the gateway').filter(
      ([code, status]) => !(code in REFUSALS) || REFUSALS[code as keyof typeof REFUSALS].status !== status,
    );
    expect([...wrongSTS, ...wrongGateway]).toEqual([]);
  });

  it('has a line for every code with which an exchange is refused', () => {
    const elsewhere = ['unsupported_grant_type', 'payload_too_large', 'zone_not_found', 'replica_behind'];
    const named = codeSpans(section(guide, '## At the exchange'));
    expect(Object.keys(ERRORS).filter((code) => !elsewhere.includes(code) && !named.includes(code))).toEqual([]);
  });
});

describe('words in capitals', () => {
  const conditions = KINDS.flatMap((kind) => Object.entries(kind.conditions));
  const known = new Set([
    ...Object.keys(DENIAL_REASONS),
    ...Object.keys(ALARM_REASONS),
    ...conditions.flatMap(([type, { reasons }]) => [type, ...Object.keys(reasons)]),
    ...KINDS.map(({ kind }) => kind),
    ...(kindsReference().match(/`[A-Z][A-Za-z]+`/g) ?? []).map((word) => word.slice(1, -1)),
    ...LISTED_DECISIONS,
    // Values of the policy input, and a header.
    'Monday',
    'Saturday',
    'Sunday',
    'Bearer',
    'Forwarded',
    'Host',
  ]);

  it('are kinds, conditions, reasons or values that exist', () => {
    const words = [...spans]
      .flatMap((span) => span.split(/[=, ]+/))
      .filter((word) => /^[A-Z][a-z]+([A-Z][a-z]+)*$/.test(word));
    const isStatus = (word: string) => word === 'True' || word === 'False' || word === 'Unknown';
    expect(unique(words.filter((word) => !known.has(word) && !isStatus(word)))).toEqual([]);
  });
});

describe('words in camel case', () => {
  it('are fields of the kinds, or words of the code', () => {
    const words = [...spans].filter((span) => /^[a-z]+([A-Z][A-Za-z]*)+$/.test(span));
    const fields = kindsReference();
    const isField = (word: string) => new RegExp(`\\b${word}\\b`).test(fields);
    const isWord = (word: string) => new RegExp(`\\b${word}\\b`).test(everything);
    expect(words.filter((word) => !isField(word) && !isWord(word))).toEqual([]);
  });
});

describe('getting a mandate', () => {
  const guide = read('docs/guides/exchange.md');
  const fields = column(guide.slice(0, guide.indexOf('## Who asks')), 0).flatMap(codeSpans);
  const answerTo = (form: string): string => {
    try {
      parseTokenForm(Buffer.from(form));
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
  };

  it('names only fields that the token endpoint knows', () => {
    expect(fields.filter((field) => /not a parameter|not supported/.test(answerTo(`${field}=x`)))).toEqual([]);
    expect(answerTo('nonsense=x')).toMatch(/not a parameter/);
  });

  it('names every field that it knows', () => {
    const text = read('src/sts/tokenForm.ts');
    const lists = [...text.matchAll(/const (?:SINGLE|REPEATED) = \[([\s\S]*?)\]/g)].map((match) => match[1]!);
    const known = lists.flatMap((list) => [...list.matchAll(/'([a-z_]+)'/g)].map((match) => match[1]!));
    expect(unique(known)).toEqual(unique(fields));
  });
});

describe('policy', () => {
  const guide = read('docs/guides/policy.md');
  const builtins = section(guide, '## Builtins');
  const [offered = '', refused = ''] = builtins.split('Everything else is');
  const isName = (span: string) => /^[a-z0-9_.]+$/.test(span) && span !== 'in';
  /** What Rego's own notation calls: never written by name. */
  const NOTATION = new Set(['assign', 'eq', 'internal.member_2', 'internal.member_3']);

  it('names every builtin that is offered, and no other', () => {
    const named = column(offered, 1).flatMap(codeSpans).filter(isName);
    expect(unique(named)).toEqual(unique(BUILTINS.filter((name) => !NOTATION.has(name))));
  });

  it('calls not offered only what is not, but where a table says what to use instead', () => {
    const named = column(refused, 0).flatMap(codeSpans).filter(isName);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => BUILTINS.includes(name))).toEqual([]);
  });

  it('names every part of the input, and none that is not there', () => {
    const schema = JSON.parse(read('policies/input.schema.json')) as {
      readonly properties: Readonly<Record<string, unknown>>;
    };
    const named = [...guide.matchAll(/`input\.([a-z_]+)/g)].map((match) => match[1]!);
    expect(unique(named)).toEqual(unique(Object.keys(schema.properties)));
  });
});

describe('metrics and headers', () => {
  it('that documents name exist', () => {
    const metrics = all.match(/\bcaracal_(sts|gateway|controller)_[a-z_]+\b/g) ?? [];
    expect(unique(metrics).filter((name) => !everything.includes(`'${name}'`))).toEqual([]);
  });

  it('of the code are documented', () => {
    const metrics = everything.match(/'caracal_(sts|gateway|controller)_[a-z_]+'/g) ?? [];
    const reference = metricsReference();
    expect(unique(metrics).filter((name) => !reference.includes(`\`${name.slice(1, -1)}\``))).toEqual([]);
  });

  it('X-Caracal-* of the code and of the guide are the same', () => {
    const set = (text: string) => unique((text.match(/X-Caracal-[A-Z][A-Za-z-]*[a-z]/g) ?? []) as string[]);
    expect(set(read('docs/guides/protect-http.md'))).toEqual(set(source('src/gateway')));
  });
});

/** A number in a document, and where the code has it. */
const NUMBERS: Readonly<Record<string, readonly [document: string, says: RegExp, file: string, has: RegExp]>> = {
  'refusals recorded in a minute': [
    'docs/security.md',
    /more than 3000 a minute/,
    'src/sts/refusals.ts',
    /RECORDS_PER_MINUTE = 3000\b/,
  ],
  'age of an ID token': [
    'docs/guides/exchange.md',
    /ID token within 5 minutes/,
    'src/sts/authenticate/subject.ts',
    /MAX_LOGIN_AGE_SECONDS = 300\b/,
  ],
  'life of a private_key_jwt': [
    'docs/guides/exchange.md',
    /at most 10 minutes ahead/,
    'src/sts/authenticate/client.ts',
    /MAX_KEY_ASSERTION_SECONDS = 600\b/,
  ],
  'length of a client secret': [
    'docs/guides/exchange.md',
    /of 43 characters or more/,
    'src/sts/authenticate/client.ts',
    /MIN_SECRET = 43\b/,
  ],
  'ttl_seconds of a mandate': [
    'docs/guides/exchange.md',
    /900 and less/,
    'src/sts/tokenForm.ts',
    /RESOURCE_TTL_CAP = 900\b/,
  ],
  'ttl_seconds of a login': [
    'docs/guides/exchange.md',
    /login 3600 and less/,
    'src/sts/tokenForm.ts',
    /SESSION_TTL_CAP = 3600\b/,
  ],
  'size of a module': [
    'docs/guides/policy.md',
    /a module \| 64 KiB/,
    'src/policy/opa.ts',
    /MAX_POLICY_BYTES = 65_536\b/,
  ],
  'size of a set': ['docs/guides/policy.md', /a set 768 KiB/, 'src/policy/opa.ts', /MAX_SET_BYTES = 786_432\b/],
  'reasons of a denial': [
    'docs/guides/policy.md',
    /64 of 512 characters/,
    'src/policy/outcome.ts',
    /MAX_DENIALS = 64;/,
  ],
  'size of a reason': [
    'docs/guides/policy.md',
    /64 of 512 characters/,
    'src/policy/reasonText.ts',
    /MAX_REASON = 512;/,
  ],
  'step-ups of a scope': [
    'docs/guides/policy.md',
    /step-ups of one scope \| 16/,
    'src/policy/outcome.ts',
    /MAX_STEP_UPS = 16;/,
  ],
  'time of a test': [
    'docs/guides/policy.md',
    /a test \| 1 second/,
    'src/policy/checker.ts',
    /TEST_DEADLINE_MS = 1000\b/,
  ],
  'an answer under way': ['docs/security.md', /up to a minute to end/, 'src/gateway/active.ts', /GRACE_MS = 60_000\b/],
  'time to drain': [
    'docs/guides/protect-http.md',
    /stopped: 10 seconds/,
    'src/gateway/flags.ts',
    /values\.drain \?\? '10'/,
  ],
};

describe('numbers', () => {
  it.each(Object.keys(NUMBERS))('%s: the document has the number of the code', (name) => {
    const [document, says, file, has] = NUMBERS[name]!;
    expect(read(document)).toMatch(says);
    expect(read(file)).toMatch(has);
  });
});
