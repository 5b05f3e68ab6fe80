import { Buffer } from 'node:buffer';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../../crds/names.ts';
import { execution, isAlive, POOL_ENV, removeScratch, until } from '../core/test-kit.ts';
import type { Outcome } from '../core/types.ts';
import { scriptExecutor } from './script.ts';
import { transformExecutor } from './transform.ts';

const execute = scriptExecutor(() => Promise.resolve({ ok: true, output: '"javascript"' }));

/** A script node; `source` runs as it stands. */
function script(language: string, source: string, changes: Parameters<typeof execution>[0] = {}): ReturnType<typeof execution> {
  return execution({ ...changes, with: { language, source, ...changes.with } });
}

function bash(source: string, changes: Parameters<typeof execution>[0] = {}): Promise<Outcome> {
  return execute(script('bash', source, changes));
}

function outputOf(outcome: Outcome): unknown {
  if (outcome.ok !== true) throw new Error(JSON.stringify(outcome));
  return JSON.parse(outcome.output);
}

/** Process ids that a script has printed as `pid N`. */
function pids(logged: readonly string[]): number[] {
  return [...logged.join('').matchAll(/pid ([0-9]+)/g)].map((m) => Number(m[1]));
}

beforeAll(() => {
  process.env['RAMBO_NATS_URL'] = 'nats://leak';
  process.env['RAMBO_TEST_LEAK'] = 'leak';
  process.env['LEAK'] = 'leak';
});
afterEach(() => { removeScratch(); });
afterAll(() => { for (const name of ['RAMBO_NATS_URL', 'RAMBO_TEST_LEAK', 'LEAK']) Reflect.deleteProperty(process.env, name); });

describe('output', () => {
  test.each<[string, string, unknown]>([
    ['nothing', 'true', null],
    ['an empty file', ': > "$RAMBO_OUTPUT_FILE"', null],
    ['JSON', 'echo \'{"a": [1, "é"]}\' > "$RAMBO_OUTPUT_FILE"', { a: [1, 'é'] }],
    ['the input', 'cat "$RAMBO_INPUT_FILE" > "$RAMBO_OUTPUT_FILE"', { x: 1 }],
    ['the input of the environment', 'echo "$RAMBO_INPUT" > "$RAMBO_OUTPUT_FILE"', { x: 1 }],
  ])('%s', async (_, source, expected) => {
    expect(outputOf(await bash(source, { with: { input: { x: 1 } } }))).toEqual(expected);
  });

  test.each<[string, string, string, string]>([
    ['no JSON', 'echo "{a: 1" > "$RAMBO_OUTPUT_FILE"', 'OutputInvalid', '{a: 1'],
    ['two documents', 'echo "1 2" > "$RAMBO_OUTPUT_FILE"', 'OutputInvalid', '1 2'],
    ['broken UTF-8', 'printf \'"\\xff"\' > "$RAMBO_OUTPUT_FILE"', 'OutputInvalid', 'JSON'],
    ['a folder', 'mkdir "$RAMBO_OUTPUT_FILE"', 'OutputInvalid', 'not a file'],
    ['a pipe nobody writes to', 'mkfifo "$RAMBO_OUTPUT_FILE"', 'OutputInvalid', 'not a file'],
    ['a device without end', 'ln -s /dev/zero "$RAMBO_OUTPUT_FILE"', 'OutputInvalid', 'not a file'],
    ['too much', `head -c ${LIMITS.outputBytes + 1} /dev/zero > "$RAMBO_OUTPUT_FILE"`, 'OutputTooLarge', `${LIMITS.outputBytes + 1} bytes`],
    ['10 GB, sparse', 'truncate -s 10G "$RAMBO_OUTPUT_FILE"', 'OutputTooLarge', '10737418240 bytes'],
  ])('%s is an error of the node', async (_, source, reason, message) => {
    expect(await bash(source)).toMatchObject({ ok: false, error: { class: 'User', reason, message: expect.stringContaining(message) } });
  });

  test('as much as is allowed', async () => {
    const source = `{ printf '"'; head -c ${LIMITS.outputBytes - 2} /dev/zero | tr '\\0' x; printf '"'; } > "$RAMBO_OUTPUT_FILE"`;
    expect(outputOf(await bash(source))).toHaveLength(LIMITS.outputBytes - 2);
  });
});

describe('ends', () => {
  test('the exit code and the last of standard error', async () => {
    expect(await bash('echo out; echo "disk is full" >&2; exit 42')).toMatchObject({
      ok: false, error: { class: 'User', reason: 'ExitCode', message: 'the program ended with exit code 42: disk is full' },
    });
  });

  test('only the end of a long standard error is kept', async () => {
    const outcome = await bash('seq 1 100000 >&2; exit 1');
    expect(outcome.ok ? '' : outcome.error.message).toMatch(/99999\n100000$/);
    expect(outcome.ok ? 0 : outcome.error.message.length).toBeLessThan(1_100);
  });

  test('a signal is 128 and its number', async () => {
    expect(await bash('kill -SEGV $$')).toMatchObject({ ok: false, error: { message: expect.stringContaining('exit code 139') } });
  });

  test.each([['a failing command', 'false; echo no'], ['a failing part of a pipe', 'false | cat; echo no'], ['an unset variable', 'echo "$NOPE"; echo no']])('bash stops at %s', async (_, source) => {
    const run = script('bash', source);
    expect(await execute(run)).toMatchObject({ ok: false, error: { reason: 'ExitCode' } });
    expect(run.logged.join('')).not.toContain('no\n');
  });

  test('python: output, traceback', async () => {
    const source = 'import json, os\njson.dump({"got": json.load(open(os.environ["RAMBO_INPUT_FILE"]))}, open(os.environ["RAMBO_OUTPUT_FILE"], "w"))';
    expect(outputOf(await execute(script('python', source, { with: { input: [1, 'ü'] } })))).toEqual({ got: [1, 'ü'] });
    expect(await execute(script('python', 'raise ValueError("odd")'))).toMatchObject({
      ok: false, error: { class: 'User', reason: 'ExitCode', message: expect.stringContaining('ValueError: odd') },
    });
  });

  test('an interpreter that is not there is not the fault of the node', async () => {
    const run = { ...script('python', 'print(1)'), env: { PATH: '/nonexistent' } };
    expect(await execute(run)).toMatchObject({ ok: false, error: { class: 'Infra', reason: 'StartError', message: expect.stringContaining('python3') } });
  });

  test('an unknown language', async () => {
    expect(await execute(script('perl', ''))).toMatchObject({ ok: false, error: { class: 'Invalid', reason: 'UnsupportedLanguage', message: expect.stringContaining('perl') } });
    expect(await execute(script('constructor', ''))).toMatchObject({ ok: false, error: { class: 'Invalid' } });
  });

  test('javascript goes to its own processes', async () => {
    expect(outputOf(await execute(script('javascript', '')))).toBe('javascript');
  });
});

describe('environment', () => {
  test('is the pool\'s, the node\'s and ours; nothing of the runner\'s own', async () => {
    const run = script('bash', 'cat /proc/self/environ | tr "\\0" "\\n" > seen', { env: { MINE: 'yes', POOL_VAR: 'of the node', RAMBO_RUN_ID: 'forged', HOME: '/somewhere' }, with: { input: 1 }, item: 3, attempt: 2 });
    outputOf(await execute(run));
    const seen = Object.fromEntries(readFileSync(join(run.dir, 'seen'), 'utf8').trim().split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2)));
    // bash itself adds three.
    for (const name of ['PWD', 'SHLVL', '_', 'OLDPWD']) Reflect.deleteProperty(seen, name);
    expect(seen).toEqual({
      PATH: POOL_ENV.PATH, POOL_VAR: 'of the node', MINE: 'yes', HOME: '/somewhere', TMPDIR: run.dir, RAMBO_INPUT: '1',
      RAMBO_INPUT_FILE: join(run.dir, 'input.json'), RAMBO_OUTPUT_FILE: join(run.dir, 'output.json'), RAMBO_IDEMPOTENCY_KEY: 'run-1/a/-1', RAMBO_RUN_ID: 'run-1',
      RAMBO_RUN_NAME: 'first', RAMBO_NAMESPACE: 'team', RAMBO_NODE: 'a', RAMBO_ITEM: '3', RAMBO_ATTEMPT: '2',
    });
  });

  test('the files of an attempt are its user\'s alone', async () => {
    const run = script('bash', 'true');
    outputOf(await execute(run));
    for (const name of ['input.json', 'node.sh']) expect(statSync(join(run.dir, name)).mode & 0o777).toBe(0o600);
  });

  test.each<[string, number, boolean]>([['x', LIMITS.inputEnvBytes - 2, true], ['x', LIMITS.inputEnvBytes - 1, false], ['é', LIMITS.inputEnvBytes / 2 - 1, true], ['é', LIMITS.inputEnvBytes / 2, false]])(
    'input of %s x %i is in the variable: %s', async (character, times, there) => {
      const input = character.repeat(times);
      const source = 'printf \'%s\' "${RAMBO_INPUT-unset}" > seen; cp "$RAMBO_INPUT_FILE" "$RAMBO_OUTPUT_FILE"';
      const run = script('bash', source, { with: { input }, env: { RAMBO_INPUT: 'forged' } });
      expect(outputOf(await execute(run))).toBe(input);
      const seen = readFileSync(join(run.dir, 'seen'), 'utf8');
      expect(seen === 'unset').toBe(!there);
      if (there) expect(Buffer.byteLength(seen)).toBe(LIMITS.inputEnvBytes);
    });

  test('the largest environment that is taken can be started', async () => {
    const many = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`V${i}`, 'x'.repeat(131_000)]));
    expect(outputOf(await bash('true', { env: many }))).toBeNull();
    expect(outputOf(await bash('true', { env: { BIG: 'x'.repeat(131_071 - 'BIG='.length) } }))).toBeNull();
  });

  test('what no environment can hold is an error of the node that names it', async () => {
    expect(await bash('true', { env: { BAD: 'a\0b' } })).toMatchObject({ ok: false, error: { class: 'User', reason: 'InvalidEnvironment', message: expect.stringContaining('BAD') } });
    expect(await bash('true', { env: { BIG: 'x'.repeat(3_000_000) } })).toMatchObject({ ok: false, error: { class: 'User', reason: 'InvalidEnvironment', message: expect.stringContaining('BIG') } });
    const many = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`V${i}`, 'x'.repeat(100_000)]));
    expect(await bash('true', { env: many })).toMatchObject({ ok: false, error: { class: 'User', reason: 'InvalidEnvironment' } });
  });
});

describe('stopping', () => {
  test('everything the node has started ends with it, grandchildren too', async () => {
    const run = script('bash', 'sleep 1000 & echo "pid $!"; (sleep 1000 & echo "pid $!"; wait) & echo "pid $$"; wait');
    const outcome = execute(run);
    await until('three processes', () => pids(run.logged).length === 3);
    expect(pids(run.logged).every(isAlive)).toBe(true);
    run.stop.abort();
    expect(await outcome).toMatchObject({ ok: false, error: { reason: 'ExitCode' } });
    await until('their end', () => !pids(run.logged).some(isAlive));
  });

  test('what a node leaves in the background ends when the node does', async () => {
    const run = script('bash', 'sleep 1000 & echo "pid $!"');
    expect(outputOf(await execute(run))).toBeNull();
    expect(pids(run.logged)).toHaveLength(1);
    await until('its end', () => !pids(run.logged).some(isAlive));
  });

  test('a node has its grace to clean up; only the kill ends one that does not listen', async () => {
    const polite = script('bash', 'trap \'echo "\\"clean\\"" > "$RAMBO_OUTPUT_FILE"; exit 0\' TERM; echo ready; while true; do sleep 0.01; done');
    const deaf = script('bash', 'trap "" TERM; echo "pid $$"; while true; do sleep 0.01; done');
    const [politeEnd, deafEnd] = [execute(polite), execute(deaf)];
    await until('both', () => polite.logged.join('').includes('ready') && pids(deaf.logged).length === 1);
    polite.stop.abort();
    deaf.stop.abort();
    expect(outputOf(await politeEnd)).toBe('clean');
    expect(pids(deaf.logged).every(isAlive)).toBe(true);
    deaf.end.abort();
    expect(await deafEnd).toMatchObject({ ok: false, error: { message: expect.stringContaining('exit code 137') } });
    await until('its end', () => !pids(deaf.logged).some(isAlive));
  });

  test('an attempt that was stopped before its process began does not run', async () => {
    const run = script('bash', 'sleep 0.2; touch ran');
    run.end.abort();
    run.stop.abort();
    expect(await execute(run)).toMatchObject({ ok: false });
    expect(existsSync(join(run.dir, 'ran'))).toBe(false);
  });

  test('a process that left the group does not hold the slot by holding the pipes', async () => {
    const run = script('bash', 'setsid bash -c \'echo "pid $$"; exec sleep 1000\' & while [ ! -e /proc/$!/stat ]; do :; done; sleep 0.2');
    expect(outputOf(await execute(run))).toBeNull();
    await until('its id', () => pids(run.logged).length === 1);
    for (const pid of pids(run.logged)) process.kill(pid, 'SIGKILL');
  });
});

test('output goes to the log as it comes, whole characters only', async () => {
  const run = script('bash', 'printf "\\xf0\\x9f"; sleep 0.05; printf "\\x98\\x80\\n"; echo err >&2');
  outputOf(await execute(run));
  expect(run.logged.join('')).toContain('😀\n');
  expect(run.logged.join('')).toContain('err\n');
});

test('a transform that was forced into a runner comes back as it is', async () => {
  expect(outputOf(await transformExecutor(execution({ type: 'transform', with: { output: { a: [1] } } })))).toEqual({ a: [1] });
  expect(outputOf(await transformExecutor(execution({ type: 'transform' })))).toBeNull();
});
