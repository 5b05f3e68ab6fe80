import { parse } from 'yaml';
import { z } from 'zod';

const stepSchema = z.looseObject({
  uses: z.string().optional(), run: z.string().optional(), with: z.record(z.string(), z.unknown()).optional(),
});
const permissionsSchema = z.union([z.string(), z.record(z.string(), z.string())]);
const jobSchema = z.looseObject({
  permissions: permissionsSchema.optional(), 'timeout-minutes': z.number().optional(), steps: z.array(stepSchema).default([]),
});
const workflowSchema = z.looseObject({ permissions: permissionsSchema.optional(), jobs: z.record(z.string(), jobSchema) });

type Step = z.infer<typeof stepSchema>;
type Job = z.infer<typeof jobSchema>;

/** What a pipeline may refer to. */
export interface Surroundings {
  /** Targets of the Makefile. */
  readonly targets: ReadonlySet<string>;
  readonly exists: (file: string) => boolean;
}

const SCRIPT = /(?:^|[\s"'(])((?:hack|bench|test|crds|api)\/[\w./-]+\.(?:sh|ts|mjs))/g;

/**
 * What is wrong with one file of .github/workflows: not YAML of a pipeline, an action that is not pinned by commit and version,
 * more rights than a job names, a target or script that does not exist, a cache where things are released.
 */
export function pipelineProblems(file: string, text: string, around: Surroundings): readonly string[] {
  const parsed = workflowSchema.safeParse(readYaml(text));
  if (!parsed.success) return [`${file} is no workflow of GitHub: ${parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`];
  const { jobs, permissions } = parsed.data;
  const rights = JSON.stringify(permissions) === '{}' ? [] : ['permissions: set them to {} and name what each job needs'];
  const problems = [...rights, ...unpinned(text), ...missing(text, around)];
  for (const [name, job] of Object.entries(jobs)) problems.push(...jobProblems(job, /release/.test(file)).map((problem) => `job ${name}: ${problem}`));
  return problems.map((problem) => `${file}: ${problem}`);
}

function readYaml(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    return String(error);
  }
}

/** Read from the text, for the version stands in a comment: `uses: owner/name@40 hex digits # v1.2.3`. */
function unpinned(text: string): readonly string[] {
  const uses = text.split('\n').filter((line) => /^\s*(-\s*)?uses:/.test(line)).map((line) => line.trim());
  return uses.filter((line) => !/uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v?\d+\.\d+\.\d+$/.test(line) && !/uses: \.\//.test(line))
    .map((line) => `${line}: pin it by commit and name the version behind it, as in @<40 hex digits> # v1.2.3`);
}

function missing(text: string, { targets, exists }: Surroundings): readonly string[] {
  const called = [...text.matchAll(/\bmake ([a-z][\w-]*)/g)].map((match) => match[1] ?? '');
  const scripts = [...text.matchAll(SCRIPT)].map((match) => match[1] ?? '');
  return [
    ...called.filter((target) => !targets.has(target)).map((target) => `calls \`make ${target}\`, which the Makefile does not have`),
    ...scripts.filter((script) => !exists(script)).map((script) => `calls ${script}, which does not exist`),
  ];
}

function jobProblems(job: Job, release: boolean): readonly string[] {
  const problems: string[] = [];
  if (job['timeout-minutes'] === undefined) problems.push('has no timeout-minutes');
  if (job.permissions === undefined || typeof job.permissions === 'string') problems.push('names no permissions of its own');
  for (const step of job.steps) {
    if (step.uses?.startsWith('actions/checkout@') === true && step.with?.['persist-credentials'] !== false) problems.push('actions/checkout leaves its token in .git: set persist-credentials: false');
    if (release && caches(step)) problems.push(`${step.uses?.split('@')[0] ?? ''} uses a cache: what is released must not come out of one`);
  }
  return problems;
}

function caches({ uses = '', with: given = {} }: Step): boolean {
  if (uses.startsWith('actions/cache')) return true;
  if (uses.startsWith('actions/setup-go@')) return given['cache'] !== false;
  if (uses.startsWith('actions/setup-node@')) return given['package-manager-cache'] !== false || given['cache'] !== undefined;
  if (uses.startsWith('docker/setup-buildx-action@')) return given['cache-binary'] !== false;
  if (uses.startsWith('docker/build-push-action@')) return given['no-cache'] !== true || given['cache-from'] !== undefined;
  return false;
}

/** Targets a Makefile has. */
export function makeTargets(makefile: string): ReadonlySet<string> {
  return new Set([...makefile.matchAll(/^([a-z][\w-]*):/gm)].map((match) => match[1] ?? ''));
}
