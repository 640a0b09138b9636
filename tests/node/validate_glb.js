// node validate_glb.js FILE...: prints one JSON object, {file: issues}, as the Khronos glTF validator sees each file.
const fs = require("fs");
const validator = require("gltf-validator");

async function main(paths) {
  const issues = {};
  for (const path of paths) {
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(path)), { maxIssues: 20 });
    issues[path] = report.issues;
  }
  process.stdout.write(JSON.stringify(issues));
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exit(1);
});
