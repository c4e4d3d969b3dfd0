/** What `caracal up` says to people. */
import { describe, expect, it } from 'vitest';
import { toJSONVoice, toTextVoice } from '../../src/cli/upText.ts';

const READY = { issuer: 'http://127.0.0.1:7400', gateway: 'http://127.0.0.1:7401', zones: ['shop.main'] };
const ZONE = {
  kind: 'Zone',
  namespace: 'shop',
  name: 'main',
  status: 'True',
  reason: 'Ready',
  message: 'it is in force',
};
const PROBLEM = { file: 'a.yaml', line: 3, path: 'spec.x', message: 'is unknown', object: 'Zone shop/main' };

describe('the voice for people', () => {
  const voice = toTextVoice('.caracal');

  it('shows what is served, every object, and how to go on', () => {
    expect(voice.ready(READY, [ZONE])).toBe(`STS             http://127.0.0.1:7400
gateway (edge)  http://127.0.0.1:7401
zones           shop.main
runtime API     http://127.0.0.1:7400/apis/runtime.caracal.run (token: .caracal/runtime-token)
data            .caracal

KIND  NAMESPACE  NAME  READY  REASON
Zone  shop       main  True   Ready

A token for an application of shop.main (for a gateway add /gateways to the audience):
  caracal serviceaccount-token NAMESPACE/NAME --audience http://127.0.0.1:7400/zones/shop.main --data .caracal

Watching for changes; end with Ctrl-C.
`);
  });

  it('tells a change with what it was, and why where it is bad', () => {
    const bad = { ...ZONE, status: 'False', reason: 'NoPolicySet', message: 'set spec.policySetRef' };
    expect(voice.transition({ summary: bad, before: ZONE, gone: false })).toBe(
      'Zone shop/main: Ready=False NoPolicySet (was Ready=True Ready): set spec.policySetRef\n',
    );
    expect(voice.transition({ summary: ZONE, before: undefined, gone: false })).toBe(
      'Zone shop/main: Ready=True Ready\n',
    );
    expect(voice.transition({ summary: ZONE, before: ZONE, gone: true })).toBe('Zone shop/main: gone\n');
  });

  it('K-34 makes one line of a message, whatever is in it', () => {
    const bad = { ...ZONE, status: 'False', reason: 'NoPolicySet', message: 'a\n\u001b[2Jb' };
    expect(voice.transition({ summary: bad, before: undefined, gone: false })).toBe(
      'Zone shop/main: Ready=False NoPolicySet: a\\u{a}\\u{1b}[2Jb\n',
    );
    expect(voice.problems([], [{ ...PROBLEM, message: 'a\nb' }])).toEqual([
      'refused: a.yaml:3: Zone shop/main: spec.x: a\\u{a}b\n',
    ]);
  });

  it('tells a problem when it comes and when it goes, once', () => {
    expect(voice.problems([], [PROBLEM])).toEqual(['refused: a.yaml:3: Zone shop/main: spec.x: is unknown\n']);
    expect(voice.problems([PROBLEM], [PROBLEM])).toEqual([]);
    expect(voice.problems([PROBLEM], [])).toEqual(['mended: a.yaml:3: Zone shop/main: spec.x: is unknown\n']);
  });
});

describe('the voice for machines', () => {
  it('says everything as lines of JSON', () => {
    const voice = toJSONVoice();
    const lines = [
      voice.ready(READY, [ZONE]),
      voice.transition({ summary: ZONE, before: undefined, gone: false }),
      ...voice.problems([], [PROBLEM]),
    ];
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { event: 'ready', ...READY },
      { event: 'state', ...ZONE },
      { event: 'refused', ...PROBLEM },
    ]);
  });
});
