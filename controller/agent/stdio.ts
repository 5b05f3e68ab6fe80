import { API_VERSION, LABELS, MANAGED_BY } from '../../crds/names.ts';
import { specHash } from '../../crds/canonical.ts';
import { STDIO_PORT, stdioName, type ToolServerSpec } from '../../crds/tool-server.ts';
import type { ToolServerObject } from './definition.ts';

/** A manifest that is applied as a whole. */
export type Manifest = Readonly<Record<string, unknown>> & { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace: string } };

/** What the pods of stdio servers are made of besides their spec. */
export interface StdioSettings {
  /** Image with Node and the bridge: that of runners. */
  readonly bridgeImage: string;
}

type Stdio = NonNullable<NonNullable<ToolServerSpec['mcp']>['stdio']>;

const BRIDGE_DIR = '/rambo-bridge';

/** Name under which the hash of the template stands in the Deployment: the same one again need not be applied. */
export function templateHash(object: ToolServerObject, settings: StdioSettings): string {
  return specHash([object.uid, object.spec?.mcp?.stdio ?? null, settings]).slice(0, 16);
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
    {
      // The server asks nobody who calls: only the model gateway may, wherever it is installed.
      apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata,
      spec: {
        podSelector: { matchLabels: selector }, policyTypes: ['Ingress'],
        ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { 'app.kubernetes.io/component': 'modelgateway' } } }], ports: [{ port: STDIO_PORT, protocol: 'TCP' }] }],
      },
    },
  ];
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
