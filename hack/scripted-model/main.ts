import { readFileSync } from 'node:fs';
import { startScriptedModel } from './server.ts';
import type { ScriptInput } from './script.ts';

/* The scripted model as a program: `node hack/scripted-model/main.ts [--port=N] [--host=H] [--scenarios=FILE.json]`. Says its base URL in one line of standard output. */

/** Value of `--name=`, if it was given. */
function flag(name: string): string | undefined {
  const prefix = `--${name}=`;
  return process.argv.slice(2).find((arg) => arg.startsWith(prefix))?.slice(prefix.length);
}

const file = flag('scenarios');
const model = await startScriptedModel({ port: Number(flag('port') ?? 0), host: flag('host') ?? '127.0.0.1' });
if (file !== undefined) {
  const scenarios: Record<string, ScriptInput> = JSON.parse(readFileSync(file, 'utf8'));
  for (const [name, script] of Object.entries(scenarios)) model.register(name, script);
}
const stop = (): void => { void model.stop().then(() => { process.exit(0); }); };
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.stdout.write(`${JSON.stringify({ scripted: model.url })}\n`);
