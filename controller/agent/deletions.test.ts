import { UnavailableError } from '../../platform/errors/index.ts';
import { Deletions } from './deletions.ts';

function world(before: (uid: string) => void = () => undefined) {
  const removed: string[] = [];
  const deletions: Deletions = new Deletions((namespace, name, uid) => {
    before(uid);
    removed.push(`${namespace}/${name}/${uid}`);
    return Promise.resolve();
  });
  return { deletions, removed };
}

test('every object that was deleted under a name is removed once, in order; of other names none', async () => {
  const { deletions, removed } = world();
  deletions.add('ns/a', 'u1');
  deletions.add('ns/a', 'u2');
  deletions.add('ns/b', 'u3');
  await deletions.carryOut('ns/a');
  await deletions.carryOut('ns/a');
  expect(removed).toEqual(['ns/a/u1', 'ns/a/u2']);
});

test('one that is deleted while another is removed is not forgotten', async () => {
  const { deletions, removed } = world((uid) => { if (uid === 'u1') deletions.add('ns/a', 'u2'); });
  deletions.add('ns/a', 'u1');
  await deletions.carryOut('ns/a');
  await deletions.carryOut('ns/a');
  expect(removed).toEqual(['ns/a/u1', 'ns/a/u2']);
});

test('what could not be removed is tried again, and what could is not', async () => {
  let away = true;
  const { deletions, removed } = world((uid) => { if (uid === 'u2' && away) throw new UnavailableError('Postgres'); });
  deletions.add('ns/a', 'u1');
  deletions.add('ns/a', 'u2');
  await expect(deletions.carryOut('ns/a')).rejects.toThrow('Postgres is not available');
  away = false;
  await deletions.carryOut('ns/a');
  expect(removed).toEqual(['ns/a/u1', 'ns/a/u2']);
});
