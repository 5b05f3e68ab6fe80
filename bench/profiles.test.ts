import { selfTimes } from './profiles.ts';

const frame = (functionName: string, lineNumber: number): object => ({ functionName, url: 'file:///x/controller.mjs', lineNumber });

test('sums the samples of a function over all the places it was called from', () => {
  const profile = {
    nodes: [{ id: 1, callFrame: frame('commit', 9) }, { id: 2, callFrame: frame('', 4) }, { id: 3, callFrame: frame('commit', 9) }],
    samples: [1, 2, 3, 1], timeDeltas: [1_000, 500, 2_000, 1_000],
  };
  expect(selfTimes(JSON.stringify(profile))).toEqual([{ where: 'commit controller.mjs:10', ms: 4 }, { where: '(anonymous) controller.mjs:5', ms: 0.5 }]);
});

test('refuses what is no profile', () => {
  expect(() => selfTimes('{"nodes":[]}')).toThrow();
});
