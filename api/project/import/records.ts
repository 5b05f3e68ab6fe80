import type { InputProblem } from '../../workflow/definition.ts';
import type { Json } from './fields.ts';

/* What an export holds, record by record, in the words of our tables. */

interface Common {
  /** Key of localStorage it stands under. */
  readonly key: string;
  /** The record as it was, as text. */
  readonly raw: string;
  /** What a person should know, in plain sentences. */
  readonly notes: readonly string[];
}

/** A record with an id of the prototype. */
interface Identified extends Common {
  /** The id as the prototype had it; undefined where the record had none. */
  readonly oldId: string | undefined;
  /** The id among all records of its kind, for one person's imports. */
  readonly identity: string;
}

/** A record of a project. */
interface OfProject extends Identified {
  /** Identity of the project. */
  readonly project: string;
}

/** Moments of the record, epoch milliseconds, where it had any. */
export interface Moments {
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
}

export interface ProjectRecord extends Identified, Moments {
  readonly kind: 'project';
  /** Made up, because records name a project that the export lacks: never changes one that exists. */
  readonly placeholder: boolean;
  readonly name: string;
  readonly description: string;
  readonly status: 'ACTIVE' | 'ON_HOLD' | 'COMPLETED' | 'ARCHIVED';
  readonly thumbnailUrl: string | undefined;
  readonly metadata: Json;
}

export interface SprintRecord extends OfProject {
  readonly kind: 'sprint';
  readonly name: string;
  readonly goal: string;
  readonly status: 'PLANNED' | 'ACTIVE' | 'COMPLETED';
  /** `YYYY-MM-DD`. */
  readonly startDate: string | undefined;
  readonly endDate: string | undefined;
  readonly metadata: Json;
}

export interface AgentRecord extends Identified, Moments {
  readonly kind: 'agent';
  /** Identity of the project; undefined: a global agent of its owner. */
  readonly project: string | undefined;
  readonly name: string;
  readonly type: string;
  readonly status: 'RUNNING' | 'IDLE' | 'ERROR' | 'STOPPED';
  readonly capabilities: readonly unknown[];
  readonly configuration: Json;
  readonly metadata: Json;
}

export interface WorkflowRecord extends OfProject, Moments {
  readonly kind: 'workflow';
  readonly name: string;
  readonly description: string;
  /** Spec of a Workflow, as far as it could be made. */
  readonly definition: Json;
  /** Why it cannot be published. */
  readonly problems: readonly InputProblem[];
  readonly metadata: Json;
}

export interface TaskRecord extends OfProject, Moments {
  readonly kind: 'task';
  readonly title: string;
  readonly description: string;
  readonly status: 'TO_DO' | 'IN_PROGRESS' | 'DONE' | 'BLOCKED';
  readonly assignedTo: string | undefined;
  /** Old ids and identities of what it refers to. */
  readonly parent: Reference | undefined;
  readonly sprint: Reference | undefined;
  readonly dependencies: readonly Reference[];
  readonly metadata: Json;
}

export interface TicketRecord extends OfProject, Moments {
  readonly kind: 'ticket';
  readonly title: string;
  readonly description: string;
  readonly status: 'OPEN' | 'IN_PROGRESS' | 'RESOLVED' | 'CLOSED';
  readonly priority: 'HIGH' | 'MEDIUM' | 'LOW';
  readonly type: 'BUG' | 'FEATURE_REQUEST' | 'SUPPORT_REQUEST' | 'CHANGE_REQUEST';
  readonly assignee: string | undefined;
  readonly sprint: Reference | undefined;
  readonly metadata: Json;
}

export interface RequirementRecord extends OfProject, Moments {
  readonly kind: 'requirement';
  readonly title: string;
  readonly description: string;
  readonly status: 'DRAFT' | 'UNDER_REVIEW' | 'APPROVED' | 'IMPLEMENTED' | 'OBSOLETE' | 'REJECTED';
  readonly priority: 'HIGH' | 'MEDIUM' | 'LOW';
  readonly revision: string;
  readonly metadata: Json;
}

export interface FileRecord extends OfProject, Moments {
  readonly kind: 'file';
  readonly area: 'FILES' | 'REQUIREMENTS';
  readonly folder: boolean;
  readonly name: string;
  /** Identity of the folder; undefined at the top. */
  readonly parent: string | undefined;
  /** Text of a file; empty where the prototype had none. */
  readonly content: string;
  readonly contentType: string;
  readonly metadata: Json;
}

export interface PreferenceRecord extends Common {
  readonly kind: 'preference';
  /** As stored: a text, or the value where the export was parsed already. */
  readonly value: unknown;
}

/** What could not be read; the text is kept. */
export interface RawRecord extends Common {
  readonly kind: 'raw';
  readonly oldId?: string | undefined;
}

/** Another record of the prototype, by its id. */
export interface Reference {
  readonly oldId: string;
  readonly identity: string;
}

/** One record of an export. */
export type ImportRecord =
  ProjectRecord | SprintRecord | AgentRecord | WorkflowRecord | TaskRecord | TicketRecord | RequirementRecord | FileRecord | PreferenceRecord | RawRecord;

/** One record that becomes a row. */
export type RowRecord = Exclude<ImportRecord, PreferenceRecord | RawRecord>;

/** Kinds in the order in which they are taken: what others refer to comes first. */
export const KIND_ORDER = ['project', 'sprint', 'agent', 'workflow', 'file', 'requirement', 'task', 'ticket', 'preference', 'raw'] as const satisfies readonly ImportRecord['kind'][];
