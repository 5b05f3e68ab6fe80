/** Name of the Workflow object of a workflow: its name as Kubernetes can write it, and the end of its id, so that no two of a namespace are alike. */
export function objectNameOf({ id, name }: { readonly id: string; readonly name: string }): string {
  const plain = name.normalize('NFKD').replace(/[\u0300-\u036f]/g, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '').slice(0, 50).replace(/-+$/, '');
  return `${plain === '' ? 'workflow' : plain}-${id.slice(-8)}`;
}
