import { ConfigMaps } from './config-maps.ts';

interface Fake { readonly key: string; readonly told: () => void; running: boolean }

function site(most = 10): { readonly maps: ConfigMaps; readonly watches: Fake[]; readonly changed: string[] } {
  const watches: Fake[] = [];
  const changed: string[] = [];
  const maps = new ConfigMaps({
    most, changed: (agent) => { changed.push(agent); },
    watch: (namespace, name, told) => {
      const fake: Fake = { key: `${namespace}/${name}`, told, running: false };
      watches.push(fake);
      return { start: async () => { fake.running = true; }, stop: async () => { fake.running = false; } };
    },
  });
  return { maps, watches, changed };
}

const running = (watches: readonly Fake[]): readonly string[] => watches.filter((one) => one.running).map(({ key }) => key);

test('one watch per ConfigMap, for all agents that name it', () => {
  const { maps, watches, changed } = site();
  expect([maps.follow('ns/a', 'ns', 'm'), maps.follow('ns/b', 'ns', 'm'), maps.follow('ns/b', 'ns', 'm')]).toEqual([true, true, true]);
  expect(running(watches)).toEqual(['ns/m']);
  watches[0]?.told();
  expect(changed).toEqual(['ns/a', 'ns/b']);
});

test('it ends with the last that names it; the same name elsewhere is another', () => {
  const { maps, watches, changed } = site();
  maps.follow('ns/a', 'ns', 'm');
  maps.follow('ns/b', 'ns', 'm');
  maps.follow('other/a', 'other', 'm');
  maps.follow('ns/a', 'ns', undefined);
  expect(running(watches)).toEqual(['ns/m', 'other/m']);
  maps.follow('ns/b', 'ns', 'n');
  expect(running(watches)).toEqual(['other/m', 'ns/n']);
  watches[0]?.told();
  expect(changed).toEqual([]);
});

test('no more than so many: others look again by themselves', async () => {
  const { maps, watches } = site(1);
  expect([maps.follow('ns/a', 'ns', 'm'), maps.follow('ns/b', 'ns', 'n'), maps.follow('ns/c', 'ns', 'm')]).toEqual([true, false, true]);
  await maps.forget();
  expect([running(watches), maps.size]).toEqual([[], 0]);
  expect(maps.follow('ns/b', 'ns', 'n')).toBe(true);
});
