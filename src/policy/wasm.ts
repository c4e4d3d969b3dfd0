/** Our host of OPA's WASM ABI 1.3: bounded memory, closed builtins, one module, one entry point. */
import { HOST_BUILTINS, type HostBuiltin } from './builtins.ts';
import { parseTerm } from './terms.ts';

/** 64 KiB pages: what a module starts with, and the most an instance may hold unless said otherwise (16 MiB). */
const INITIAL_PAGES = 8;
export const DEFAULT_MEMORY_PAGES = 256;
const PAGE = 65_536;

/** The module is not one that our compiler makes: wrong imports, ABI, entry points or builtins. */
export class ModuleRefused extends Error {
  override readonly name = 'ModuleRefused';
}

/** The module ended the evaluation: a conflict, no memory left, a value out of range. The instance must be dropped. */
class EvaluationAborted extends Error {
  override readonly name = 'EvaluationAborted';
}

/** A loaded module. Not re-entrant; after any throw it must be dropped. */
export interface Instance {
  /** `data` and `input` are JSON. Returns the JSON result set. Throws EvaluationAborted, RangeError or WebAssembly errors. */
  evaluate(data: string, input: string): string;
  /** Bytes of linear memory held; it never shrinks. */
  memory(): number;
}

interface Exports {
  /** Reserved, entry point, data, input, its length, heap, format. */
  readonly opa_eval: (...operands: readonly number[]) => number;
  readonly builtins: () => number;
  readonly entrypoints: () => number;
  readonly opa_malloc: (size: number) => number;
  readonly opa_json_parse: (at: number, length: number) => number;
  readonly opa_json_dump: (value: number) => number;
  readonly opa_value_dump: (value: number) => number;
  readonly opa_heap_ptr_get: () => number;
  readonly opa_heap_ptr_set: (at: number) => void;
  readonly opa_wasm_abi_version: WebAssembly.Global;
  readonly opa_wasm_abi_minor_version: WebAssembly.Global;
}

const IMPORTS: ReadonlySet<string> = new Set([
  'memory memory',
  'function opa_abort',
  'function opa_println',
  ...[0, 1, 2, 3, 4].map((arity) => `function opa_builtin${arity}`),
]);

/** Compiles bytes off this thread and checks what the module asks for. Rejects with ModuleRefused. */
export async function compileModule(bytes: Uint8Array<ArrayBuffer>): Promise<WebAssembly.Module> {
  const module = await WebAssembly.compile(bytes);
  for (const { module: from, kind, name } of WebAssembly.Module.imports(module)) {
    if (from !== 'env' || !IMPORTS.has(`${kind} ${name}`))
      throw new ModuleRefused(`it imports ${from}.${name} (${kind})`);
  }
  return module;
}

/** Instantiates a module and checks its ABI, builtins and that `entrypoint` is its only one. Throws ModuleRefused. */
export function instantiate(
  module: WebAssembly.Module,
  entrypoint: string,
  memoryPages: number = DEFAULT_MEMORY_PAGES,
): Instance {
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: memoryPages });
  const host = createHost(memory);
  const exports = new WebAssembly.Instance(module, { env: host.imports }).exports as unknown as Exports;
  host.bind(exports);
  checkABI(exports);
  const names = host.read(exports.opa_json_dump(exports.builtins()));
  host.name(toTable(names));
  checkEntrypoint(host.read(exports.opa_json_dump(exports.entrypoints())), entrypoint);
  return createInstance(exports, memory, host);
}

function createInstance(exports: Exports, memory: WebAssembly.Memory, host: Host): Instance {
  const base = exports.opa_heap_ptr_get();
  let loaded = { data: '', address: 0, heap: base };
  function load(data: string) {
    exports.opa_heap_ptr_set(base);
    const address = host.write(data);
    loaded = { data, address, heap: exports.opa_heap_ptr_get() };
  }
  return {
    evaluate(data, input) {
      if (data !== loaded.data) load(data);
      const bytes = host.place(loaded.heap, input);
      const heap = align(loaded.heap + bytes);
      const result = exports.opa_eval(0, 0, loaded.address, loaded.heap, bytes, heap, 0);
      return host.read(result);
    },
    memory: () => memory.buffer.byteLength,
  };
}

const align = (address: number) => (address + 7) & ~7;

function checkABI({ opa_wasm_abi_version: major, opa_wasm_abi_minor_version: minor }: Exports): void {
  if (Number(major?.value) === 1 && Number(minor?.value) >= 3) return;
  throw new ModuleRefused(`its ABI is ${major?.value}.${minor?.value}, not 1.3`);
}

function checkEntrypoint(json: string, entrypoint: string): void {
  const names = Object.keys(JSON.parse(json) as Record<string, number>);
  if (names.length === 1 && names[0] === entrypoint) return;
  throw new ModuleRefused(`its entry points are ${names.join(', ')}, not exactly ${entrypoint}`);
}

/** Builtins by number. */
function toTable(json: string): readonly (HostBuiltin | undefined)[] {
  const table: (HostBuiltin | undefined)[] = [];
  for (const [name, id] of Object.entries(JSON.parse(json) as Record<string, number>)) {
    const builtin = HOST_BUILTINS.get(name);
    if (!builtin) throw new ModuleRefused(`it calls builtin ${name}, which this runtime does not provide`);
    table[id] = builtin;
  }
  return table;
}

type Host = ReturnType<typeof createHost>;

/** The module's window to us: strings in and out of its memory, and its imports. */
function createHost(memory: WebAssembly.Memory) {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  let exports: Exports | undefined;
  let builtins: readonly (HostBuiltin | undefined)[] = [];
  let bytes = new Uint8Array(memory.buffer);

  /** Growing detaches the old buffer. */
  function view(): Uint8Array<ArrayBuffer> {
    if (bytes.byteLength === 0 || bytes.buffer !== memory.buffer) bytes = new Uint8Array(memory.buffer);
    return bytes;
  }
  function read(address: number): string {
    const all = view();
    const end = all.indexOf(0, address);
    if (address <= 0 || end === -1) throw new EvaluationAborted('the module returned no text');
    return decoder.decode(all.subarray(address, end));
  }
  /** Writes text at an address past the heap, growing the memory; returns its length in bytes. */
  function place(address: number, text: string): number {
    const most = address + text.length * 3 + 8;
    const missing = most - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
    return encoder.encodeInto(text, view().subarray(address)).written;
  }
  /** Parses JSON into the module's heap; returns the value's address. */
  function write(json: string): number {
    const encoded = encoder.encode(json);
    const address = exports!.opa_malloc(encoded.byteLength);
    view().set(encoded, address);
    const value = exports!.opa_json_parse(address, encoded.byteLength);
    if (value === 0) throw new EvaluationAborted('the module cannot read a value of ours');
    return value;
  }
  function call(id: number, operands: readonly number[]): number {
    const builtin = builtins[id];
    if (!builtin) throw new EvaluationAborted(`the module calls unknown builtin ${id}`);
    const result = builtin(operands.map((operand) => parseTerm(read(exports!.opa_value_dump(operand)))));
    return result === undefined ? 0 : write(result);
  }
  const imports = {
    memory,
    opa_abort: (address: number) => {
      throw new EvaluationAborted(read(address));
    },
    opa_println: () => undefined,
    opa_builtin0: (id: number) => call(id, []),
    opa_builtin1: (id: number, _context: number, a: number) => call(id, [a]),
    opa_builtin2: (id: number, _context: number, a: number, b: number) => call(id, [a, b]),
    opa_builtin3: (id: number, _context: number, a: number, b: number, c: number) => call(id, [a, b, c]),
    opa_builtin4: (id: number, _context: number, ...operands: readonly number[]) => call(id, operands),
  };
  return {
    imports,
    read,
    write,
    place,
    bind: (bound: Exports) => (exports = bound),
    name: (table: readonly (HostBuiltin | undefined)[]) => (builtins = table),
  };
}
