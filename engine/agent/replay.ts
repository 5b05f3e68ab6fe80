import type { AgentEvent } from '../../crds/agent-run.ts';
import { AgentFold } from '../../crds/agent-fold.ts';
import { requestHash } from '../../crds/agent-request.ts';
import type { RevisionSpec } from '../../crds/agent-revision.ts';

/** Where a replay would have asked a model something else than the journal says. */
export interface Divergence {
  /** Place of the request in the journal. */
  readonly seq: number;
  readonly step: number;
  /** Hash of what was asked, and of what would be asked. */
  readonly recorded: string;
  readonly replayed: string;
}

/** What a replay came to. */
export interface Replay {
  /** Requests of steps that came out alike, up to the divergence. */
  readonly alike: number;
  /** Tool results taken from the journal. */
  readonly tools: number;
  readonly divergence?: Divergence;
}

/**
 * Replays a run strictly: answers and tool results come from the journal, nothing is called, and every request is made anew from what stood
 * before it and from `revision`. Stops at the first that differs. With the revision the run had, a divergence means that the journal or
 * the code changed; with another, it is the first step that this one would have taken differently.
 */
export function replayAgentRun(events: Iterable<AgentEvent>, revision: RevisionSpec): Replay {
  const fold = new AgentFold();
  const { tools, parameters } = revision;
  let alike = 0;
  let results = 0;
  for (const event of events) {
    if (event.kind === 'ModelRequested' && event.payload.purpose === 'step') {
      const replayed = requestHash({ messages: fold.state.messages, tools, parameters });
      const { step, requestHash: recorded } = event.payload;
      if (replayed !== recorded) return { alike, tools: results, divergence: { seq: event.seq, step, recorded, replayed } };
      alike += 1;
    }
    if (event.kind === 'ToolCompleted') results += 1;
    fold.add(withInstructions(event, revision.instructions));
  }
  return { alike, tools: results };
}

/** The prompt comes from the revision that is replayed, not from the one that ran. */
function withInstructions(event: AgentEvent, instructions: string): AgentEvent {
  return event.kind === 'RunStarted' ? { ...event, payload: { ...event.payload, instructions } } : event;
}
