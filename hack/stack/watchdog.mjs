// Ends the programs of the stack when their supervisor died without doing so: it holds the other end of our standard input.
import { readFileSync } from 'node:fs';

const pidFile = process.argv[2];
process.stdin.resume();
process.stdin.on('end', () => {
  let pids = [];
  try {
    pids = JSON.parse(readFileSync(pidFile, 'utf8'));
  } catch {
    process.exit(0);
  }
  const signal = (pid, name) => { try { process.kill(-pid, name); } catch { try { process.kill(pid, name); } catch { /* gone */ } } };
  for (const pid of pids) signal(pid, 'SIGTERM');
  setTimeout(() => { for (const pid of pids) signal(pid, 'SIGKILL'); process.exit(0); }, 8_000);
});
