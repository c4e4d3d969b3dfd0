/** The evaluating thread: an instance per (zone, digest), one message per exchange, nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { ENTRYPOINT } from './assemble.ts';
import {
  CURRENT_JOB,
  type Answer,
  type Documents,
  type FromWorker,
  type ToWorker,
  type WorkerConfig,
} from './protocol.ts';
import { instantiate, type Instance } from './wasm.ts';

/** An instance that grew beyond this is dropped after use, since its memory never shrinks. */
const LARGE = 4 << 20;

/** So many instances are kept; the least recently used goes first, and is made again when asked. */
const MAX_INSTANCES = 128;

/** Characters of a printed result; a module that says more than this is broken or hostile. */
const MAX_RESULT = 262_144;

const port = parentPort!;
const config = workerData as WorkerConfig;
const current = new Int32Array(config.current);
const modules = new Map<number, WebAssembly.Module>();
/** Least recently used first. */
const instances = new Map<number, Instance>();

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'load':
      modules.set(message.key, message.module);
      return;
    case 'unload':
      modules.delete(message.key);
      instances.delete(message.key);
      return;
    case 'evaluate': {
      Atomics.store(current, CURRENT_JOB, message.id);
      const answers = message.documents.map((documents) => evaluate(message.key, documents));
      port.postMessage({ id: message.id, answers } satisfies FromWorker);
      Atomics.store(current, CURRENT_JOB, 0);
    }
  }
});

/** Whatever is thrown, the instance is dropped: its memory may be in any state. */
function evaluate(key: number, { data, input }: Documents): Answer {
  const instance = instances.get(key) ?? tryInstantiate(key);
  instances.delete(key);
  if (!instance) return { ok: false };
  try {
    const json = instance.evaluate(data, input);
    if (instance.memory() <= LARGE) keep(key, instance);
    return json.length <= MAX_RESULT ? { ok: true, json } : { ok: false };
  } catch {
    return { ok: false };
  }
}

function tryInstantiate(key: number): Instance | undefined {
  const module = modules.get(key);
  if (!module) return undefined;
  try {
    return instantiate(module, ENTRYPOINT, config.memoryPages);
  } catch {
    return undefined;
  }
}

function keep(key: number, instance: Instance): void {
  instances.set(key, instance);
  if (instances.size > MAX_INSTANCES) instances.delete(instances.keys().next().value!);
}
