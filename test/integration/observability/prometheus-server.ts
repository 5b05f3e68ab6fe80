import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { Child } from '../../../hack/stack/child.ts';
import { freePort } from '../../../hack/stack/ports.ts';
import { ROOT } from '../../../hack/stack/stack.ts';

/** Programs of the pinned Prometheus; built by `make test-tools` before the tests, or here when it was not. */
export function prometheusTools(): { readonly prometheus: string; readonly promtool: string } {
  const prometheus = execFileSync(path.join(ROOT, 'hack/tools/tool.sh'), ['prometheus'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  return { prometheus, promtool: path.join(path.dirname(prometheus), 'promtool') };
}

/** Runs promtool; `input` goes to its standard input. Both outputs together, and how it ended. */
export function promtool(args: readonly string[], input = ''): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = execFile(prometheusTools().promtool, [...args], { cwd: ROOT, maxBuffer: 16 * 1_048_576 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}

/** A rule as Prometheus tells of it. */
const ruleSchema = z.object({ name: z.string(), health: z.string(), lastError: z.string().optional(), state: z.string().optional() });

/** A real Prometheus on loopback that scrapes every second and evaluates the given rules every second. */
export class PrometheusServer {
  readonly #dir: string;
  readonly #port: number;
  readonly #child: Child;

  private constructor(dir: string, port: number) {
    this.#dir = dir;
    this.#port = port;
    this.#child = new Child({
      name: 'prometheus', command: prometheusTools().prometheus, restart: false, logFile: path.join(dir, 'prometheus.log'), log: () => undefined, env: { PATH: process.env['PATH'] ?? '' },
      args: [`--config.file=${dir}/prometheus.yaml`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`],
    });
  }

  /** `targets`: jobs with their `host:port`. Resolves when it answers. */
  static async start(targets: Readonly<Record<string, string>>, rules: string): Promise<PrometheusServer> {
    const dir = mkdtempSync(path.join(tmpdir(), 'rambo-prometheus-'));
    writeFileSync(path.join(dir, 'prometheus.yaml'), stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }, rule_files: [rules],
      scrape_configs: Object.entries(targets).map(([job, target]) => ({ job_name: job, honor_labels: true, static_configs: [{ targets: [target], labels: { namespace: 'rambo-system' } }] })),
    }));
    const server = new PrometheusServer(dir, await freePort());
    server.#child.start();
    for (let tries = 0; ; tries++) {
      if (await fetch(`http://127.0.0.1:${server.#port}/-/ready`).then(({ ok }) => ok, () => false)) return server;
      if (tries > 150) throw new Error(`Prometheus did not become ready; see ${dir}/prometheus.log`);
      await new Promise((resolve) => { setTimeout(resolve, 200); });
    }
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Series of an instant query. Throws with what Prometheus says of a query it does not take. */
  async query(expr: string): Promise<readonly { readonly metric: Readonly<Record<string, string>>; readonly value: number }[]> {
    const answer = z.object({ status: z.string(), error: z.string().optional(), data: z.object({ result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })) }).optional() })
      .parse(await this.#get(`query?query=${encodeURIComponent(expr)}`));
    if (answer.status !== 'success') throw new Error(`${expr}: ${String(answer.error)}`);
    return (answer.data?.result ?? []).map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  /** Every rule, with the outcome of its last evaluation. */
  async rules(): Promise<readonly z.output<typeof ruleSchema>[]> {
    return z.object({ data: z.object({ groups: z.array(z.object({ rules: z.array(ruleSchema) })) }) }).parse(await this.#get('rules')).data.groups.flatMap(({ rules }) => rules);
  }

  async #get(pathAndQuery: string): Promise<unknown> {
    return (await fetch(`http://127.0.0.1:${this.#port}/api/v1/${pathAndQuery}`)).json();
  }
}
