/** Tiny GLBs: a square per mesh, whose first corner each morph target moves. */

export interface TinyMesh {
  name?: string;
  /** Morph targets: name and how far it moves the first corner. */
  targets?: Record<string, [number, number, number]>;
  /** Lower left and upper right corner of the square. */
  from?: [number, number, number];
  to?: [number, number, number];
}

/** A binary glTF 2.0 with one node per mesh. */
export function tinyGlb(meshes: TinyMesh[], extra: object = {}): ArrayBuffer {
  const chunks: Float32Array[] = [];
  const accessors: object[] = [];
  const bufferViews: object[] = [];
  let length = 0;
  const accessor = (values: number[]) => {
    const data = new Float32Array(values);
    bufferViews.push({
      buffer: 0,
      byteOffset: length,
      byteLength: data.byteLength,
    });
    const axes = [0, 1, 2].map((axis) =>
      values.filter((_, index) => index % 3 === axis),
    );
    const min = axes.map((column) => Math.min(...column));
    const max = axes.map((column) => Math.max(...column));
    accessors.push({
      bufferView: bufferViews.length - 1,
      componentType: 5126,
      count: values.length / 3,
      type: "VEC3",
      min,
      max,
    });
    chunks.push(data);
    length += data.byteLength;
    return accessors.length - 1;
  };
  const described = meshes.map(
    ({ name, targets, from = [-1, -1, 0], to = [1, 1, 0] }) => {
      const [a, b, c, d] = [
        from,
        [to[0], from[1], to[2]],
        to,
        [from[0], to[1], from[2]],
      ];
      const primitive = {
        attributes: {
          POSITION: accessor([a, b, c, a, c, d].flat() as number[]),
        },
        ...(targets && {
          targets: Object.values(targets).map((offset) => ({
            POSITION: accessor(
              [
                offset,
                [0, 0, 0],
                [0, 0, 0],
                offset,
                [0, 0, 0],
                [0, 0, 0],
              ].flat(),
            ),
          })),
        }),
      };
      return {
        name,
        primitives: [primitive],
        ...(targets && { extras: { targetNames: Object.keys(targets) } }),
      };
    },
  );
  const document = {
    asset: { version: "2.0" },
    scene: 0,
    scenes: [{ nodes: meshes.map((_, index) => index) }],
    nodes: meshes.map(({ name }, index) => ({ name, mesh: index })),
    meshes: described,
    accessors,
    bufferViews,
    buffers: [{ byteLength: length }],
    ...extra,
  };
  return packed(JSON.stringify(document), chunks, length);
}

function packed(
  json: string,
  chunks: Float32Array[],
  length: number,
): ArrayBuffer {
  const text = new TextEncoder().encode(
    json + " ".repeat((4 - (new TextEncoder().encode(json).length % 4)) % 4),
  );
  const bytes = new Uint8Array(12 + 8 + text.length + 8 + length);
  const view = new DataView(bytes.buffer);
  const words = [0x46546c67, 2, bytes.length, text.length, 0x4e4f534a];
  words.forEach((word, index) => view.setUint32(4 * index, word, true));
  bytes.set(text, 20);
  view.setUint32(20 + text.length, length, true);
  view.setUint32(24 + text.length, 0x004e4942, true);
  let place = 28 + text.length;
  for (const chunk of chunks) {
    bytes.set(new Uint8Array(chunk.buffer), place);
    place += chunk.byteLength;
  }
  return bytes.buffer;
}
