import { readFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../../platform/clock/index.ts';
import { agentAskSchema, type AgentAnswer, type AgentAsk } from '../../../platform/messages/agent-ask.ts';
import { AGENT_ASK_QUEUE, AGENT_ASK_SUBJECT, GATEWAY_INBOX_PREFIX } from '../../../platform/messages/subjects.ts';
import { connectBus, type Bus, type Stoppable } from '../../../platform/nats/bus.ts';
import type { TestStack } from '../../harness/test-stack.ts';

/** The model gateway's side of discovery, as a test wants it: it says whatever `says` has for an object. */
export class FakeGateway {
  readonly asked: AgentAsk[] = [];
  readonly #bus: Bus;
  readonly #says = new Map<string, AgentAnswer>();
  #responding: Stoppable | undefined;

  private constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Connects as the gateway's own user, so that its permissions are tried too; answers nothing before `start`. */
  static async connect(t: TestStack): Promise<FakeGateway> {
    const file = path.join(path.dirname(t.addresses.natsCreds), 'modelgateway.creds');
    const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
    return new FakeGateway(await connectBus({ url: t.addresses.natsUrl, name: 'fake-gateway', inboxPrefix: GATEWAY_INBOX_PREFIX, creds: () => readFileSync(file, 'utf8').trim(), log: silent, clock: systemClock }));
  }

  /** What it answers about an object from now on; `ok` without tools for what was never told. */
  says(name: string, answer: Omit<Extract<AgentAnswer, { ok: true }>, 'v'> | Omit<Extract<AgentAnswer, { ok: false }>, 'v'>): void {
    this.#says.set(name, { v: 1, ...answer });
  }

  /** How often it was asked about an object. */
  count(name: string): number {
    return this.asked.filter((ask) => ask.name === name).length;
  }

  start(): void {
    this.#responding = this.#bus.respond(AGENT_ASK_SUBJECT, async (_subject, payload) => {
      const ask = agentAskSchema.parse(JSON.parse(new TextDecoder().decode(payload)));
      this.asked.push(ask);
      const answer = this.#says.get(ask.name) ?? (ask.verb === 'probe' ? { v: 1, ok: true, models: ['m-1'] } : { v: 1, ok: true, tools: [] });
      return new TextEncoder().encode(JSON.stringify(answer));
    }, AGENT_ASK_QUEUE);
  }

  async stop(): Promise<void> {
    this.#responding?.stop();
    await this.#bus.close();
  }
}
