import { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { openLines } from './lines.ts';

function ends(tty = false) {
  const stdin = Object.assign(new PassThrough(), { isTTY: tty });
  const signals = new EventEmitter();
  return {
    stdin, stdout: { isTTY: tty }, stderr: Object.assign(new Writable({ write: (_chunk, _encoding, done) => { done(); } }), { isTTY: tty }), signals,
    on: (event: 'SIGINT', listener: () => void) => signals.on(event, listener), off: (event: 'SIGINT', listener: () => void) => signals.off(event, listener),
  };
}

test('lines that come before they are asked for wait; the last needs no line break', async () => {
  const given = ends();
  const lines = openLines(given);
  given.stdin.end('one\ntwo\r\nthree');
  await new Promise((resolve) => { given.stdin.once('close', resolve); });
  expect([await lines.line('> '), await lines.line('> '), await lines.line('> '), await lines.line('> '), lines.interactive]).toEqual(['one', 'two', 'three', undefined, false]);
});

test('whoever waits gets the next line, or hears that there is none', async () => {
  const given = ends();
  const lines = openLines(given);
  const [first, second] = [lines.line(''), lines.line('')];
  given.stdin.write('late\n');
  expect(await first).toBe('late');
  given.stdin.end();
  expect(await second).toBeUndefined();
});

test('Ctrl-C reaches whoever wants to hear of it, and nobody else', () => {
  const given = ends();
  const lines = openLines(given);
  let heard = 0;
  expect(given.signals.listenerCount('SIGINT')).toBe(0);
  lines.interrupted(() => { heard++; });
  lines.interrupted(() => { heard += 10; });
  given.signals.emit('SIGINT');
  lines.interrupted(undefined);
  expect([heard, given.signals.listenerCount('SIGINT')]).toEqual([10, 0]);
  lines.close();
});
