import path from 'node:path';
import { Child } from './child.ts';
import { freePort } from './ports.ts';
import { ROOT } from './stack.ts';

/** Where the fixtures of agents are: a scripted model and tool servers, programs of tests and the demo. */
export interface AgentFixtures {
  /** Base URL of an OpenAI-compatible server that answers from hack/scripted-model/demo.json. No model thinks there. */
  readonly scriptedModel: string;
  /** MCP over streamable HTTP. */
  readonly toolServer: string;
  stop(): Promise<void>;
}

const NODE = path.join(ROOT, 'node_modules/.bin/node');
const START_MS = 20_000;

/** Starts both as programs, their logs in `dir`/logs. With them agents run without any key. */
export async function startAgentFixtures(dir: string, log: (line: string) => void): Promise<AgentFixtures> {
  const [modelPort, toolPort] = [await freePort(), await freePort()];
  const children: Child[] = [];
  const run = async (name: string, args: readonly string[]): Promise<Readonly<Record<string, string>>> => {
    const said = Promise.withResolvers<string>();
    const child = new Child({
      name, command: NODE, args: ['--no-warnings', ...args], restart: true, logFile: path.join(dir, `logs/${name}.log`), log, env: { PATH: process.env['PATH'] ?? '', HOME: dir },
      onLine: (line) => { if (line.startsWith('{')) said.resolve(line); },
    });
    children.push(child);
    child.start();
    const late = setTimeout(() => { said.reject(new Error(`${name} did not say where it is; see logs/${name}.log`)); }, START_MS);
    return JSON.parse(await said.promise.finally(() => { clearTimeout(late); }));
  };
  const stop = async (): Promise<void> => { await Promise.all(children.map((child) => child.stop())); };
  try {
    const [model, tools] = await Promise.all([
      run('scripted-model', [path.join(ROOT, 'hack/scripted-model/main.ts'), `--port=${modelPort}`, `--scenarios=${path.join(ROOT, 'hack/scripted-model/demo.json')}`]),
      run('tool-servers', [path.join(ROOT, 'hack/tool-servers/main.ts'), String(toolPort)]),
    ]);
    log('scripted model and tool servers ready (fixtures: no key, no thought)');
    return { scriptedModel: model['scripted'] ?? '', toolServer: tools['mcp'] ?? '', stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
