import Sequencer from '@jest/test-sequencer';

/**
 * The files that take longest begin first, so that no worker is left with one of them when all else is done. On a fresh clone jest knows no
 * durations and goes by size. A file that is missing here costs time, nothing else.
 */
const LONG = [
  'chaos/network', 'agents/kill', 'chaos/seeds', 'run/replicas', 'gateway/matrix', 'gateway/plans', 'backup/drill', 'gateway/schemathesis', 'chaos/etcd', 'chaos/disk', 'run/extremes', 'run/faults', 'agents/tools-calls',
];

export default class LongestFirst extends Sequencer {
  sort(tests) {
    return super.sort(tests).toSorted((a, b) => rank(a.path) - rank(b.path));
  }
}

function rank(path) {
  const at = LONG.findIndex((name) => path.includes(`/integration/${name}.`));
  return at < 0 ? LONG.length : at;
}
