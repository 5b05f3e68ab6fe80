import { foldAgentRun, type FoldedState } from '../../crds/agent-fold.ts';
import type { AgentEvent } from '../../crds/agent-run.ts';
import { agentEvents, type Executor } from '../../prisma/store/index.ts';

const PAGE = 1_000;
/** Journals that are remembered, and their size together: a step then reads only what came since the last. */
const MOST_RUNS = 500;
const MOST_CHARACTERS = 24_000_000;

interface Known {
  readonly events: AgentEvent[];
  characters: number;
}

/** Journals of agent runs as this process has read them. They only grow, so what is remembered stays true. */
export class Journals {
  readonly #db: Executor;
  readonly #known = new Map<string, Known>();
  #characters = 0;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** The whole journal, up to now. */
  async events(agentRun: string): Promise<readonly AgentEvent[]> {
    const known = this.#known.get(agentRun) ?? { events: [], characters: 0 };
    const events = [...known.events];
    let characters = known.characters;
    for (;;) {
      const page = await agentEvents(this.#db, agentRun, events.at(-1)?.seq ?? 0, PAGE);
      events.push(...page);
      for (const { payload } of page) characters += JSON.stringify(payload).length;
      if (page.length < PAGE) break;
    }
    this.#remember(agentRun, { events, characters });
    return events;
  }

  /** What the journal says the agent run is at. */
  async state(agentRun: string): Promise<FoldedState> {
    return foldAgentRun(await this.events(agentRun));
  }

  forget(agentRun: string): void {
    this.#characters -= this.#known.get(agentRun)?.characters ?? 0;
    this.#known.delete(agentRun);
  }

  #remember(agentRun: string, known: Known): void {
    this.forget(agentRun);
    this.#known.set(agentRun, known);
    this.#characters += known.characters;
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_RUNS && this.#characters <= MOST_CHARACTERS) break;
      this.forget(oldest);
    }
  }
}
