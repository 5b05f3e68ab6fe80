import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { ROOT } from '../../hack/verify/files.ts';

/** Path of a pinned tool of hack/tools; builds it the first time (minutes). */
export async function toolPath(name: string): Promise<string> {
  const { code, stdout, stderr } = await runTool('bash', ['hack/tools/tool.sh', name]);
  if (code !== 0) throw new Error(`hack/tools/tool.sh ${name}: ${stderr}`);
  return stdout.trim();
}

/** Runs a program from the root of the checkout. */
export async function runTool(program: string, args: readonly string[], stdin = ''): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(program, args, { cwd: ROOT, stdio: 'pipe' });
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => { resolve(code ?? -1); });
  });
  child.stdin.on('error', () => { /* it may end before it has read everything */ });
  child.stdin.end(stdin);
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}
