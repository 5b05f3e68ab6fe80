import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../../hack/verify/files.ts';
import { runTool, toolPath } from './tools.ts';

/** What one of the GitOps libraries answered; `error` instead when it refused. */
export interface Verdict {
  readonly status?: string;
  readonly message?: string;
  readonly text?: string;
  readonly error?: string;
}

/** A custom resource as JSON. */
export interface AnyObject {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** Asks hack/tools/gitops: the library that Flux decides by, the Lua of Argo CD, the substitution of Flux. */
export class GitopsTool {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /** Builds the tool the first time: half a minute to a minute. */
  static async build(): Promise<GitopsTool> {
    return new GitopsTool(await toolPath('gitops'));
  }

  /** kstatus: InProgress, Failed, Current, Terminating. */
  kstatus(object: AnyObject): Promise<Verdict> {
    return this.#ask('status', object);
  }

  /** Argo CD with our script for the object's kind: Progressing, Degraded, Healthy, Suspended. */
  health(object: AnyObject): Promise<Verdict> {
    return this.#ask('health', { script: readFileSync(path.join(ROOT, 'gitops/argocd/health', `${object.kind}.lua`), 'utf8'), object });
  }

  /** Flux's post-build substitution of one manifest. */
  envsubst(text: string, vars: Readonly<Record<string, string>> = {}, strict = false): Promise<Verdict> {
    return this.#ask('envsubst', { text, vars, strict });
  }

  async #ask(verb: string, request: object): Promise<Verdict> {
    const { code, stdout, stderr } = await runTool(this.#program, [verb], `${JSON.stringify(request)}\n`);
    if (code !== 0) throw new Error(`gitops ${verb}: ${stderr}`);
    const verdict: Verdict = JSON.parse(stdout);
    return verdict;
  }
}
