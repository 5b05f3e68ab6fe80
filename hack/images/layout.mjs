// One OCI image layout of several images, layers as they are (compressing them would cost more than it saves on one machine), those
// that images share once.
//   layout.mjs add LAYOUT ARCHIVE NAME   puts the image of a `docker-archive` into the layout
//   layout.mjs pack LAYOUT ARCHIVE       removes what nothing refers to, packs the layout; prints name and size in MB, one image a line
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const [verb, layout, archive, name] = process.argv.slice(2);
const NAME = 'io.containerd.image.name';
const folder = path.join(layout, 'blobs/sha256');
const indexFile = path.join(layout, 'index.json');
const blob = (digest) => path.join(folder, digest.split(':')[1]);

function readIndex() {
  return existsSync(indexFile) ? JSON.parse(readFileSync(indexFile, 'utf8')) : { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
}

/** Keeps bytes under their hash; what a manifest says of them. */
function keep(bytes, mediaType) {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  writeFileSync(blob(digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

function add() {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const work = mkdtempSync(path.join(layout, 'add-'));
  execFileSync('tar', ['-C', work, '-xf', archive]);
  const [{ Config, Layers }] = JSON.parse(readFileSync(path.join(work, 'manifest.json'), 'utf8'));
  const config = readFileSync(path.join(work, Config));
  // Layers of such an archive are not compressed: their hash is what the configuration calls them.
  const layers = JSON.parse(config.toString()).rootfs.diff_ids.map((digest, i) => {
    const file = path.join(work, Layers[i]);
    const { size } = statSync(file);
    renameSync(file, blob(digest));
    return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size };
  });
  const manifest = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: keep(config, 'application/vnd.oci.image.config.v1+json'), layers };
  const index = readIndex();
  const others = index.manifests.filter((entry) => entry.annotations[NAME] !== name);
  const entry = { ...keep(Buffer.from(JSON.stringify(manifest)), manifest.mediaType), annotations: { [NAME]: name, 'org.opencontainers.image.ref.name': name.replace(/.*:/, '') } };
  index.manifests = [...others, entry].sort((a, b) => (a.annotations[NAME] < b.annotations[NAME] ? -1 : 1));
  writeFileSync(indexFile, JSON.stringify(index));
  rmSync(work, { recursive: true });
}

function pack() {
  const used = new Set();
  for (const entry of readIndex().manifests) {
    const { config, layers } = JSON.parse(readFileSync(blob(entry.digest), 'utf8'));
    for (const { digest } of [entry, config, ...layers]) used.add(digest.split(':')[1]);
    process.stdout.write(`${entry.annotations[NAME]} ${Math.ceil(layers.reduce((sum, layer) => sum + layer.size, 0) / 1_048_576)}\n`);
  }
  for (const file of readdirSync(folder)) if (!used.has(file)) rmSync(path.join(folder, file));
  execFileSync('tar', ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@1767225600', '-C', layout, '-cf', `${archive}.new`, 'oci-layout', 'index.json', 'blobs']);
  renameSync(`${archive}.new`, archive);
}

if (verb === 'add') add();
else pack();
