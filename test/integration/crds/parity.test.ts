import { parseAgent, parseModel, parseRunnerPool, parseToolServer, parseWorkflow, parseWorkflowRun } from '../../../crds/parse.ts';
import { CASES } from './bad-input.ts';
import { manifest } from './cluster.ts';

/**
 * The parser at the door and the API server have one source, so they must judge alike. It may only be laxer where the
 * API server alone can judge, or where the engine's validator names the problem better.
 */
const LEFT_TO_THE_API_SERVER = [
  'env named twice', 'dependsOn named twice', 'duplicate node names', 'duplicate nodes inline',
  // zod drops this key from a map, so it reaches nobody.
  '__proto__ as name of an output',
];
const PARSERS = { Workflow: parseWorkflow, WorkflowRun: parseWorkflowRun, RunnerPool: parseRunnerPool, Model: parseModel, ToolServer: parseToolServer, Agent: parseAgent };

test.each(CASES.filter(({ what }) => !LEFT_TO_THE_API_SERVER.includes(what)))('$kind: $what', ({ kind, spec, refusal }) => {
  const object = { ...manifest(kind, 'x', spec), metadata: { name: 'x', namespace: 'ns', uid: 'u' } };
  const parsed = PARSERS[kind](object);
  expect(parsed).toMatchObject({ ok: refusal === undefined });
});
