import { GROUP, NAME_PATTERN, VERSION } from './names.ts';

/** A Kubernetes object, ready to be written as YAML. */
export type Manifest = Readonly<Record<string, unknown>>;

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason: 'Invalid' | 'Forbidden';
}

interface Policy {
  readonly name: string;
  readonly rules: readonly { readonly operations: readonly ('CREATE' | 'UPDATE')[]; readonly resources: readonly string[] }[];
  readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  readonly validations: readonly Validation[];
}

/**
 * What the rules inside a CRD cannot see: leaves that hold any JSON, and who asks. The policies fail closed. Objects that
 * are being deleted are judged like all others.
 */
const POLICIES: readonly Policy[] = [
  {
    // The CRD has a rule for `workflow` too. That its comparison sees free-form leaves (1.35 does) is promised nowhere.
    name: `workflowrun-immutable.${GROUP}`,
    rules: [{ operations: ['UPDATE'], resources: ['workflowruns'] }],
    validations: ['input', 'workflow'].map(unchanged),
  },
  {
    name: `service-account-use.${GROUP}`,
    rules: [
      { operations: ['CREATE'], resources: ['workflowruns'] },
      { operations: ['CREATE', 'UPDATE'], resources: ['runnerpools'] },
    ],
    variables: [
      { name: 'account', expression: "has(object.spec.serviceAccountName) ? object.spec.serviceAccountName : ''" },
      {
        name: 'before',
        expression: "oldObject != null && has(oldObject.spec.serviceAccountName) ? oldObject.spec.serviceAccountName : ''",
      },
    ],
    validations: [{
      expression: "variables.account == '' || variables.account == variables.before"
        + " || authorizer.group('').resource('serviceaccounts').namespace(object.metadata.namespace)"
        + ".name(variables.account).check('impersonate').allowed()",
      messageExpression: "'spec.serviceAccountName: ' + request.userInfo.username + ' may not impersonate service account '"
        + " + object.metadata.namespace + '/' + variables.account"
        + " + ': leave the field out, or grant the verb impersonate on that service account'",
      reason: 'Forbidden',
    }],
  },
  {
    name: `workflow-outputs.${GROUP}`,
    rules: [{ operations: ['CREATE', 'UPDATE'], resources: ['workflows', 'workflowruns'] }],
    variables: [
      { name: 'definition', expression: "request.resource.resource == 'workflows' ? object.spec : (has(object.spec.workflow) ? object.spec.workflow : {})" },
      { name: 'wrong', expression: `has(variables.definition.outputs) ? variables.definition.outputs.filter(name, !name.matches('${NAME_PATTERN}')) : []` },
    ],
    validations: [{
      expression: 'variables.wrong.size() == 0',
      messageExpression: `'outputs: the name ' + variables.wrong[0] + ' does not match ${NAME_PATTERN}'`,
      reason: 'Invalid',
    }],
  },
];

function unchanged(field: string): Validation {
  return {
    expression: `has(object.spec.${field}) == has(oldObject.spec.${field}) && (!has(object.spec.${field}) || object.spec.${field} == oldObject.spec.${field})`,
    message: `spec.${field} is immutable: only suspend and cancel may change, create a new WorkflowRun instead`,
    reason: 'Invalid',
  };
}

/** The admission policies and their bindings, in the order they are applied. */
export function admissionManifests(): readonly Manifest[] {
  return POLICIES.flatMap((policy) => [policyOf(policy), bindingOf(policy)]);
}

function policyOf(policy: Policy): Manifest {
  const resourceRules = policy.rules.map((rule) => ({
    apiGroups: [GROUP], apiVersions: [VERSION], operations: rule.operations, resources: rule.resources, scope: 'Namespaced',
  }));
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: policy.name, labels: { 'app.kubernetes.io/part-of': 'rambo' } },
    spec: {
      failurePolicy: 'Fail',
      // The defaults are written out, so that applying the file again changes nothing.
      matchConstraints: { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {}, resourceRules },
      ...(policy.variables === undefined ? {} : { variables: policy.variables }),
      validations: policy.validations,
    },
  };
}

function bindingOf(policy: Policy): Manifest {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: policy.name, labels: { 'app.kubernetes.io/part-of': 'rambo' } },
    spec: { policyName: policy.name, validationActions: ['Deny'] },
  };
}
