/** In which form a client wants its answer: the Accept header of Kubernetes clients, JSON only. */
import { APIError } from './errors.ts';

/** `metadata`: PartialObjectMetadata, or a list of them. */
export type Form = 'object' | 'table' | 'metadata' | 'discovery';

const FORMS: Readonly<Record<string, Form>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
  APIGroupDiscoveryList: 'discovery',
};

/** The version of each form that is spoken here. */
const VERSIONS: Readonly<Record<string, string>> = { table: 'v1', metadata: 'v1', discovery: 'v2' };

/** The first clause that can be answered. Throws APIError 406 where there is none. */
export function parseAccept(header: string | undefined): Form {
  const clauses = (header ?? '').split(',').map(parseClause);
  if ((header ?? '').trim() === '') return 'object';
  for (const { type, as, v } of clauses) {
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue;
    if (as === undefined) return 'object';
    const form = FORMS[as];
    if (form !== undefined && (v === undefined || v === VERSIONS[form])) return form;
  }
  throw new APIError(406, 'NotAcceptable', 'only application/json is spoken here, also as=Table;v=v1;g=meta.k8s.io');
}

function parseClause(clause: string): { readonly type: string; readonly as?: string; readonly v?: string } {
  const [type = '', ...parameters] = clause.split(';').map((part) => part.trim());
  const pairs = parameters.map((parameter) => parameter.split('=').map((part) => part.trim()));
  return { ...(Object.fromEntries(pairs) as Record<string, string>), type: type.toLowerCase() };
}
