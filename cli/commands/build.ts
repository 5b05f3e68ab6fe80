/** What a command knows of the program it is part of. */
export interface Build {
  /** Version of the release. */
  readonly version: string;
  /** Digits of this process, for names of drafts. */
  readonly unique: string;
}
