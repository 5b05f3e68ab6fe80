/**
 * The program of a clean process for one JavaScript node, as text: the runner is one bundled file, so the child cannot
 * be a file beside it. It waits for one message, says `started`, runs the source, answers, and ends. Plain JavaScript.
 */
export const JAVASCRIPT_CHILD = `
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
const check = (file) => spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', env: {} }).stderr ?? '';
process.once('message', async (job) => {
  // Out before anything of the node runs: without it the parent may give the node to another process.
  await new Promise((resolve) => process.send('started', resolve));
  const finish = (answer, code) => process.send(answer, () => process.exit(code));
  try {
    process.chdir(job.dir);
    for (const name of Object.keys(process.env)) if (!(name in job.env)) delete process.env[name];
    Object.assign(process.env, job.env);
    const abort = new AbortController();
    process.on('SIGTERM', () => abort.abort());
    const module = await import(pathToFileURL(job.file).href);
    const entry = module.default;
    let value;
    let given = false;
    if (typeof entry === 'function') {
      const input = JSON.parse(readFileSync(job.env.RAMBO_INPUT_FILE, 'utf8'));
      value = await entry({ input, signal: abort.signal, log: (...args) => console.log(...args) });
      given = value !== undefined;
    } else if (entry !== undefined) { value = entry; given = true; }
    if (given) {
      const text = JSON.stringify(value);
      if (text === undefined) throw new TypeError('the result cannot be written as JSON');
      writeFileSync(job.env.RAMBO_OUTPUT_FILE, text, { mode: 0o600 });
    }
    finish({ ok: true }, process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof Error)) return finish({ ok: false, message: String(error) }, 1);
    // The error of an import does not say where; \`node --check\` does.
    const where = error instanceof SyntaxError && !String(error.stack).includes(job.file) ? check(job.file) : '';
    const line = /node\\.mjs:([0-9]+)/.exec(where)?.[1];
    console.error(line === undefined ? error.stack : where);
    const name = error.name === 'Error' ? '' : error.name + ': ';
    finish({ ok: false, message: name + error.message + (line === undefined ? '' : ' (line ' + line + ')') }, 1);
  }
});
process.on('disconnect', () => process.exit(1));
process.send('ready');
`;
