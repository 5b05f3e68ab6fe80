import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { childrenOf } from '../../hack/stack/postgres.ts';

/** A file system of its own in a file, so that its power can be cut and it can be filled. Needs root and loop devices. */
export class Disk {
  readonly mountpoint: string;
  readonly #dir: string;
  #image: string;
  #generation = 0;

  private constructor(dir: string) {
    this.#dir = dir;
    this.#image = path.join(dir, 'disk-0.img');
    this.mountpoint = path.join(dir, 'disk');
  }

  /** Whether this machine lets us mount. */
  static available(): boolean {
    if (process.getuid?.() !== 0 || !existsSync('/dev/loop-control')) return false;
    try {
      Disk.create(16).remove();
      return true;
    } catch {
      return false;
    }
  }

  /** Makes one of so many MiB, sparse, and mounts it in a folder of its own that other accounts may pass. */
  static create(mib: number): Disk {
    const dir = mkdtempSync('/var/tmp/rambo-disk-');
    chmodSync(dir, 0o755);
    const disk = new Disk(dir);
    mkdirSync(disk.mountpoint);
    run('truncate', '-s', `${mib}M`, disk.#image);
    run('mkfs.ext4', '-q', '-F', disk.#image);
    disk.#mount();
    return disk;
  }

  /** What is written so far survives a power cut. For programs and fresh data that nobody synced. */
  settle(): void {
    run('sync', '-f', this.mountpoint);
  }

  /**
   * The power goes: `processes` stop where they are, what had reached the block device is copied, they are killed by
   * `kill`, and the copy takes the place of the disk. Whatever the kernel still held in memory is gone. Torn sectors and
   * caches of the device are not covered.
   */
  async cutPower(processes: readonly number[], kill: () => Promise<void>): Promise<void> {
    for (const pid of processes) signal(pid, 'SIGSTOP');
    const next = path.join(this.#dir, `disk-${++this.#generation}.img`);
    run('cp', '--sparse=always', this.#image, next);
    for (const pid of processes) signal(pid, 'SIGKILL');
    await kill();
    await this.#unmount();
    rmSync(this.#image);
    this.#image = next;
    this.#mount();
  }

  /** Takes all the room there is; returns how to give it back. */
  fill(): () => void {
    const ballast = path.join(this.mountpoint, 'ballast');
    const file = openSync(ballast, 'w');
    for (let size = 1_048_576; size >= 1_024; size >>= 1) {
      const block = Buffer.alloc(size, 1);
      try {
        for (;;) writeSync(file, block);
      } catch {
        // Full for blocks of this size.
      }
    }
    closeSync(file);
    return () => { rmSync(ballast, { force: true }); };
  }

  /** Unmounts and deletes it, whoever still uses it. */
  remove(): void {
    try {
      run('umount', '-l', this.mountpoint);
    } finally {
      rmSync(this.#dir, { recursive: true, force: true });
    }
  }

  #mount(): void {
    run('mount', '-o', 'loop', this.#image, this.mountpoint);
  }

  /** A process that was killed may hold it for a moment yet. */
  async #unmount(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        run('umount', this.mountpoint);
        return;
      } catch (error) {
        if (tries === 50) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    }
  }
}

/** A process and all that it started, and those in turn. */
export function familyOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(familyOf)];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, [...args], { stdio: 'pipe' });
}
