/** The evaluating thread: an instance per (zone, digest), one message per exchange, nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { ENTRYPOINT } from './assemble.ts';
import { CURRENT_JOB, type Answer, type Documents, type FromWorker, type ToWorker } from './protocol.ts';
import { compileModule, instantiate, type Instance } from './wasm.ts';

/** An instance that grew beyond this is replaced after use, since its memory never shrinks. */
const LARGE = 4 << 20;

interface Loaded {
  readonly module: WebAssembly.Module;
  instance: Instance | undefined;
}

const port = parentPort!;
const current = new Int32Array((workerData as { readonly current: SharedArrayBuffer }).current);
const loaded = new Map<number, Loaded>();

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'load':
      loaded.set(message.key, { module: compileModule(message.wasm), instance: undefined });
      return;
    case 'unload':
      loaded.delete(message.key);
      return;
    case 'evaluate':
      Atomics.store(current, CURRENT_JOB, message.id);
      send({ type: 'evaluated', id: message.id, answers: evaluateAll(message.key, message.documents) });
      Atomics.store(current, CURRENT_JOB, 0);
  }
});

send({ type: 'ready' });

function send(message: FromWorker): void {
  port.postMessage(message);
}

function evaluateAll(key: number, documents: readonly Documents[]): readonly Answer[] {
  const entry = loaded.get(key);
  return documents.map((one) => (entry ? evaluate(entry, one) : { ok: false, message: 'the set is not loaded' }));
}

/** Whatever is thrown, the instance is dropped: its memory may be in any state. */
function evaluate(entry: Loaded, { data, input }: Documents): Answer {
  try {
    entry.instance ??= instantiate(entry.module, ENTRYPOINT);
    const json = entry.instance.evaluate(data, input);
    if (entry.instance.memory() > LARGE) entry.instance = undefined;
    return { ok: true, json };
  } catch (error) {
    entry.instance = undefined;
    return { ok: false, message: error instanceof Error ? error.message : 'the module threw no error object' };
  }
}
