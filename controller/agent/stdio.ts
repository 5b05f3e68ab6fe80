import { API_VERSION, LABELS, MANAGED_BY } from '../../crds/names.ts';
import { specHash } from '../../crds/canonical.ts';
import { cidrOf, covers } from '../../platform/net/blocks.ts';
import { STDIO_PORT, stdioName, type ToolServerSpec } from '../../crds/tool-server.ts';
import type { ToolServerObject } from './definition.ts';

/** A manifest that is applied as a whole. */
export type Manifest = Readonly<Record<string, unknown>> & { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace: string } };

/** What the pods of stdio servers are made of besides their spec. */
export interface StdioSettings {
  /** Image with Node and the bridge: that of runners. */
  readonly bridgeImage: string;
  /** Rules of an egress that let a pod ask the cluster's DNS. */
  readonly dns: readonly Readonly<Record<string, unknown>>[];
  /** Namespace of the model gateway; any when it is not known. */
  readonly gatewayNamespace?: string | undefined;
}

type Stdio = NonNullable<NonNullable<ToolServerSpec['mcp']>['stdio']>;

const BRIDGE_DIR = '/rambo-bridge';

/** Name under which the hash of the template stands in the Deployment: the same one again need not be applied. */
export function templateHash(object: ToolServerObject, settings: StdioSettings): string {
  return specHash([object.uid, object.spec?.mcp?.stdio ?? null, object.spec?.egress ?? null, settings]).slice(0, 16);
}

/**
 * Deployment, Service and NetworkPolicy of a server over stdio. Its image runs with the program the spec names below our bridge, which speaks
 * HTTP on its behalf: an init container brings Node and the bridge along, so the image needs neither.
 */
export function stdioManifests(object: ToolServerObject, stdio: Stdio, settings: StdioSettings): readonly Manifest[] {
  const name = stdioName(object.name);
  const labels = { [LABELS.managedBy]: MANAGED_BY, [LABELS.toolServer]: object.name };
  const metadata = {
    name, namespace: object.namespace, labels,
    ownerReferences: [{ apiVersion: API_VERSION, kind: 'ToolServer', name: object.name, uid: object.uid, controller: true, blockOwnerDeletion: false }],
  };
  const selector = { [LABELS.toolServer]: object.name };
  return [
    {
      apiVersion: 'apps/v1', kind: 'Deployment', metadata,
      spec: {
        replicas: 1, selector: { matchLabels: selector }, strategy: { type: 'Recreate' }, revisionHistoryLimit: 1,
        template: { metadata: { labels }, spec: podSpec(stdio, settings) },
      },
    },
    {
      apiVersion: 'v1', kind: 'Service', metadata,
      spec: { selector, ports: [{ name: 'mcp', port: STDIO_PORT, targetPort: 'mcp', protocol: 'TCP' }] },
    },
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { podSelector: { matchLabels: selector }, ...traffic(object.spec?.egress ?? [], settings) } },
  ];
}

/** The server asks nobody who calls: only the model gateway may. It reaches DNS and what its owner lists, nothing else. */
function traffic(egress: readonly string[], { dns, gatewayNamespace }: StdioSettings): Readonly<Record<string, unknown>> {
  const namespaceSelector = gatewayNamespace === undefined ? {} : { matchLabels: { 'kubernetes.io/metadata.name': gatewayNamespace } };
  return {
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ from: [{ namespaceSelector, podSelector: { matchLabels: { 'app.kubernetes.io/component': 'modelgateway' } } }], ports: [{ port: STDIO_PORT, protocol: 'TCP' }] }],
    egress: [...dns, ...egress.flatMap((entry) => { const block = blockOf(entry); return block === undefined ? [] : [{ to: [{ ipBlock: block }] }]; })],
  };
}

/** There the cloud answers with credentials of the machine: no block reaches it. */
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'] as const;

/** A block of addresses as a NetworkPolicy has it; undefined for a name, and for what is never reached. */
function blockOf(entry: string): { readonly cidr: string; readonly except?: readonly string[] } | undefined {
  const cidr = cidrOf(entry);
  if (cidr === undefined || LINK_LOCAL.some((local) => covers(local, cidr))) return undefined;
  const except = LINK_LOCAL.filter((local) => covers(cidr, local));
  return except.length === 0 ? { cidr } : { cidr, except };
}

/** What of `egress` the pods of a server over stdio cannot be given: a NetworkPolicy knows addresses only. Undefined: nothing. */
export function egressProblem(egress: readonly string[]): string | undefined {
  const names = egress.filter((entry) => blockOf(entry) === undefined);
  return names.length === 0 ? undefined
    : `egress: a server over stdio reaches addresses and blocks (10.1.2.3, 203.0.113.0/24, 0.0.0.0/0), never those of the link itself; ${names.slice(0, 4).join(', ')}: a NetworkPolicy has no names`;
}


/** Pod Security `restricted`, no Kubernetes credential. */
function podSpec(stdio: Stdio, settings: StdioSettings): Readonly<Record<string, unknown>> {
  const closed = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
  return {
    automountServiceAccountToken: false, enableServiceLinks: false, terminationGracePeriodSeconds: 10,
    securityContext: { runAsNonRoot: true, runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
    ...(stdio.imagePullSecrets === undefined ? {} : { imagePullSecrets: stdio.imagePullSecrets }),
    volumes: [{ name: 'rambo-bridge', emptyDir: {} }, { name: 'tmp', emptyDir: {} }],
    initContainers: [{
      name: 'bridge', image: settings.bridgeImage, args: ['bridge', 'install', BRIDGE_DIR],
      volumeMounts: [{ name: 'rambo-bridge', mountPath: BRIDGE_DIR }], securityContext: closed,
    }],
    containers: [{
      name: 'server', image: stdio.image,
      command: [`${BRIDGE_DIR}/ld.so`, '--library-path', `${BRIDGE_DIR}/lib`, `${BRIDGE_DIR}/node`, `${BRIDGE_DIR}/bridge.mjs`, 'serve', String(STDIO_PORT)], args: stdio.args,
      env: [{ name: 'TMPDIR', value: '/tmp' }, ...(stdio.env ?? []).map(({ name, value }) => ({ name, value: value ?? '' }))],
      ...(stdio.envFrom === undefined ? {} : { envFrom: stdio.envFrom.map(({ secretRef }) => ({ secretRef: { name: secretRef.name } })) }),
      ...(stdio.resources === undefined ? {} : { resources: stdio.resources }),
      ports: [{ name: 'mcp', containerPort: STDIO_PORT, protocol: 'TCP' }],
      readinessProbe: { tcpSocket: { port: 'mcp' }, periodSeconds: 5 },
      volumeMounts: [{ name: 'rambo-bridge', mountPath: BRIDGE_DIR, readOnly: true }, { name: 'tmp', mountPath: '/tmp' }],
      securityContext: closed,
    }],
  };
}
