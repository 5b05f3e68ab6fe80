import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceAttributesEnvDetector, serviceInstanceIdDetector } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';

/** Loaded only where an endpoint is configured: starts making spans and sends them to `url`. Returns how to flush and stop. */
export function startSdk(serviceName: string, url: string): () => Promise<void> {
  const sdk = new NodeSDK({
    serviceName, traceExporter: new OTLPTraceExporter({ url }), instrumentations: [],
    // What OTEL_RESOURCE_ATTRIBUTES says. The other detectors would add the command line, the account and the host.
    resourceDetectors: [resourceAttributesEnvDetector, serviceInstanceIdDetector],
  });
  sdk.start();
  return () => sdk.shutdown();
}
