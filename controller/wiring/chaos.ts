import { PassThrough, type Readable } from 'node:stream';
import { z } from 'zod';
import type { Clock } from '../../platform/clock/index.ts';
import { readConfig } from '../../platform/config/index.ts';
import { UnavailableError } from '../../platform/errors/index.ts';
import { around, defect, pass } from '../../platform/failpoint/index.ts';
import type { KubeClient, KubeRequest } from '../../platform/kube/client.ts';
import { KubeError } from '../../platform/kube/errors.ts';
import type { Bus } from '../../platform/nats/bus.ts';
import type { Db, Statement } from '../../prisma/store/index.ts';

/*
 * Failpoints around every outside effect of the controller: statements, messages, requests to the API server. They stand
 * at the ports, so the code between them needs none. Only the bundles of test/chaos contain this file.
 *
 *   pg.<statement>.before|after          nats.dispatch.before|after      nats.publish.<verb>
 *   nats.receive.<verb>, nats.reply.<verb>                               kube.<verb>.<resource>.before|after
 *   kube.watch.<resource>.{open,cut,freeze,garbage,gone}
 */

const away = (what: string) => (point: string): Error => new UnavailableError(`${what} (failpoint ${point})`);

/** `target` with some methods replaced; everything else goes to it. */
function replaced<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const own: unknown = Reflect.get(methods, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      // Methods with private fields need the real object.
      return typeof value === 'function' ? (...args: unknown[]): unknown => Reflect.apply(value, target, args) : value;
    },
  });
}

/** A clock that is wrong by RAMBO_CHAOS_CLOCK_MS of this replica (`controller-1=600000,...`); the monotonic one is as good as ever. */
export function chaosClock(clock: Clock): Clock {
  const { RAMBO_CHAOS_CLOCK_MS: wrong, RAMBO_REPLICA: replica } = readConfig(z.object({ RAMBO_CHAOS_CLOCK_MS: z.string().default(''), RAMBO_REPLICA: z.string().default('') }));
  const byMs = Number(wrong.split(',').find((part) => part.startsWith(`${replica}=`))?.split('=')[1] ?? 0);
  return replaced<Clock>(clock, { now: () => clock.now() + byMs });
}

/** Statements: `pg.<name>`; the dozen commit statements count as one. */
export function chaosDb(db: Db): Db {
  return replaced<Db>(db, {
    query: (statement, values) => around(`pg.${statementName(statement)}`, () => db.query(unfenced(statement), values), away('Postgres')),
    transaction: (work) => around('pg.transaction', () => db.transaction(work), away('Postgres')),
  });
}

function statementName(statement: Statement): string {
  return statement.name.startsWith('commit-') ? 'commit' : statement.name;
}

/** The deliberate defect "no fencing check": whatever the shard table says, the commit goes through. */
function unfenced(statement: Statement): Statement {
  if (defect() !== 'noFencing' || !statement.name.startsWith('commit-')) return statement;
  const text = statement.text.replace('AND s.epoch = w.epoch', '').replace(/WHERE s\.owner = \$\d+(::text)?/, (owner) => `WHERE (true OR ${owner.slice(6)})`);
  return { name: `unfenced-${statement.name}`, text };
}

/** Messages out and in. */
export function chaosBus(bus: Bus): Bus {
  return replaced<Bus>(bus, {
    publishDispatch: (subject, payload, id) => {
      const send = (): Promise<number> => around('nats.dispatch', () => bus.publishDispatch(subject, payload, id), away('NATS'));
      if (defect() !== 'sentBeforePublish') return send();
      void new Promise((resolve) => { setImmediate(resolve); }).then(send).catch(() => undefined);
      return Promise.resolve(0);
    },
    publish: (subject, payload) => {
      const what = pass(`nats.publish.${verbOf(subject)}`);
      if (what !== 'drop') bus.publish(subject, payload);
      if (what === 'repeat') bus.publish(subject, payload);
    },
    listen: (subject, handler) => bus.listen(subject, (from, payload) => {
      const what = pass(`nats.receive.${verbOf(subject)}`);
      if (what !== 'drop') handler(from, payload);
      if (what === 'repeat') handler(from, payload);
    }),
    respond: (subject, handler) => bus.respond(subject, (from, payload) => answer(verbOf(subject), () => handler(from, payload))),
  });
}

/** Received, handled (a commit is in there), answered: the answer may be lost, the request may come twice. */
async function answer(verb: string, handle: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const received = pass(`nats.receive.${verb}`);
  if (received === 'drop') return new Promise(() => undefined);
  if (received === 'repeat') void handle().catch(() => undefined);
  if (verb === 'result' && defect() === 'ackBeforeCommit') {
    setImmediate(() => { void handle().catch(() => undefined); });
    return Buffer.from(JSON.stringify({ v: 1, status: 'Recorded' }));
  }
  const reply = await handle();
  return pass(`nats.reply.${verb}`) === 'drop' ? new Promise(() => undefined) : reply;
}

function verbOf(subject: string): string {
  return subject.split('.')[1] ?? 'unknown';
}

/** Requests to the API server, and what can happen to a watch. */
export function chaosKube(client: KubeClient): KubeClient {
  const point = ({ verb, resource }: KubeRequest): string => `kube.${verb}.${resource}`;
  return replaced<KubeClient>(client, {
    json: (request) => around(point(request), () => client.json(request), broken),
    text: (request) => around(point(request), () => client.text(request), broken),
    stream: async (request, signal) => spoiled(await client.stream(request, signal), request.resource),
  });
}

/** The API server in trouble: a conflict for writes would be answered before anything happened, an error may come after. */
function broken(point: string): Error {
  if (point.includes('.patch.') && point.endsWith('.before')) return new KubeError(409, 'Conflict', `409 (failpoint ${point})`);
  return point.endsWith('.after') ? new KubeError(0, 'Unreachable', `no answer (failpoint ${point})`) : new KubeError(500, 'InternalError', `500 (failpoint ${point})`);
}

const GARBAGE = '{"type":"MODIFIED","object":{"kind":"Half\n';
const GONE = '{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired","message":"too old resource version"}}\n';

/** A watch passes a point with each chunk; `drop` at one of its points spoils it in that way. */
function spoiled<T extends Readable>(source: T, resource: string): T {
  const out = new PassThrough();
  source.on('error', (error) => { out.destroy(error); });
  source.on('end', () => { out.end(); });
  out.on('close', () => { source.destroy(); });
  let frozen = false;
  source.on('data', (chunk: Buffer) => {
    if (pass(`kube.watch.${resource}.freeze`) === 'drop') frozen = true;
    if (frozen) return;
    if (pass(`kube.watch.${resource}.garbage`) === 'drop') out.write(GARBAGE);
    if (pass(`kube.watch.${resource}.gone`) === 'drop') out.write(GONE);
    if (pass(`kube.watch.${resource}.cut`) === 'drop') out.destroy(new Error('cut by a failpoint'));
    else out.write(chunk);
  });
  // The reflector reads it as a stream of bytes and nothing else.
  return out as unknown as T;
}
