import fc from 'fast-check';
import { asRunId, derivedRunId } from './run-id.ts';
import { objectNameOf } from './object-name.ts';
import { objectName } from './names.ts';

test.each([['01234567-89AB-7DEF-8123-456789ABCDEF', '01234567-89ab-7def-8123-456789abcdef'], ['', undefined], ['01234567-89ab-7def-8123-456789abcde', undefined], ['01234567-89ab-7def-8123-456789abcdefg', undefined], ['../x', undefined], ['01234567-89ab-7def-8123-456789abcdef\n', undefined]])('%j as the id of a run is %j', (text, id) => {
  expect(asRunId(text)).toBe(id);
});

test('an id under a key is the same each time, is a UUID of version 8, and another part makes another id', () => {
  const part = fc.string({ maxLength: 12 });
  fc.assert(fc.property(part, part, part, part, (namespace, principal, key, other) => {
    const id = derivedRunId(namespace, principal, key);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([asRunId(id), derivedRunId(namespace, principal, key)]).toEqual([id, id]);
    // Nothing moves from one part into the next.
    if (other !== '') expect(new Set([id, derivedRunId(namespace + other, principal, key), derivedRunId(namespace, other + principal, key), derivedRunId(namespace, principal + other, key), derivedRunId(namespace, principal, key + other)]).size).toBeGreaterThanOrEqual(4);
  }));
});

const ID = '01234567-89ab-7def-8123-456789abcdef';
test.each([['Nightly build', 'nightly-build-89abcdef'], ['Übergröße', 'ubergro-e-89abcdef'], ['日本', 'workflow-89abcdef'], ['--x--', 'x-89abcdef'], ['', 'workflow-89abcdef'], ['a/../b', 'a-b-89abcdef'], ['x'.repeat(200), `${'x'.repeat(50)}-89abcdef`], [`${'x'.repeat(49)}-y`, `${'x'.repeat(49)}-89abcdef`]])('the object of %j is %s', (name, object) => {
  expect(objectNameOf({ id: ID, name })).toBe(object);
});

test('whatever a workflow is called, Kubernetes takes the name of its object', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 120 }), (name) => {
    expect(objectName('x').safeParse(objectNameOf({ id: ID, name })).success).toBe(true);
  }), { numRuns: 300 });
});
