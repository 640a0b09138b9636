import { useBench } from "../bench";
import { FileButton } from "../FileButton";
import { Menu } from "../Menu";
import { count } from "../words";

const NUM_SHAPES = 52;

/** The built-in head, or somebody's own. */
export function HeadMenu() {
  const { heads } = useBench();
  const model = heads.model.value;
  const missing = model?.missing ?? [];
  return (
    <Menu label="Head" icon="head">
      {(close) => (
        <>
          <h2>{heads.fileName.value ?? "The built-in head"}</h2>
          {model && (
            <p class="text small">
              {missing.length === 0
                ? `Has all ${NUM_SHAPES} shapes of ARKit.`
                : `Lacks ${count(missing.length, "shape")} of ${NUM_SHAPES}, whose motion is not seen: ${missing.join(", ")}.`}
            </p>
          )}
          <FileButton
            class="item"
            accept=".glb,model/gltf-binary"
            onFile={(file) => {
              close();
              void heads.loadFile(file);
            }}
          >
            Another head (GLB) …
          </FileButton>
          {heads.fileName.value && (
            <button
              type="button"
              class="item"
              onClick={() => {
                close();
                void heads.loadBuiltIn();
              }}
            >
              The built-in head
            </button>
          )}
        </>
      )}
    </Menu>
  );
}
