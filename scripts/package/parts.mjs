// What the executable consists of: the packages in its bundles, with licences, and the programs inside
// of it. Made from the list that build.mjs leaves, package-lock.json and node_modules.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Packages in the executable, by name: { name, version, license, integrity, text }. */
export function shippedPackages(root) {
  const paths = JSON.parse(readFileSync(join(root, ".build/packages.json"), "utf8"));
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  return paths
    .map((path) => {
      const { name = path.replace(/^.*node_modules\//, ""), version, license, integrity } = packages[path];
      return {
        name,
        version,
        license: license ?? licenseOf(root, path),
        integrity,
        text: licenseText(join(root, path)),
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Programs that are not packages: { name, version, license, address, text }. @param about of the build */
export function shippedPrograms({ node, sqlite, uWebSockets }) {
  const own = [join(dirname(process.execPath), "../LICENSE"), join(dirname(process.execPath), "LICENSE")].find(
    existsSync,
  );
  return [
    {
      ...{
        name: "node",
        version: node,
        license: "MIT",
        address: `https://github.com/nodejs/node/blob/v${node}/LICENSE`,
      },
      text: own === undefined ? null : readFileSync(own, "utf8").trim(),
    },
    {
      ...{ name: "sqlite", version: sqlite, license: "blessing", address: "https://www.sqlite.org/copyright.html" },
      text: null,
    },
    {
      ...{ name: "uWebSockets.js", version: uWebSockets, license: "Apache-2.0" },
      ...{ address: "https://github.com/uNetworking/uWebSockets.js", text: null },
    },
  ];
}

function licenseOf(root, path) {
  return JSON.parse(readFileSync(join(root, path, "package.json"), "utf8")).license ?? "unknown";
}

function licenseText(folder) {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name));
  return file === undefined ? null : readFileSync(join(folder, file), "utf8").trim();
}

/** The licences of everything in the executable. */
export function licenseList(packages, programs) {
  const lines = ["Prism is under the MIT licence (LICENSE). Its executable contains:", ""];
  for (const { name, version, license, address } of programs) lines.push(`${name} ${version} (${license}), ${address}`);
  for (const { name, version, license } of packages) lines.push(`${name} ${version} (${license})`);
  for (const { name, text } of [...programs, ...packages]) if (text !== null) lines.push("", `== ${name}`, "", text);
  return `${lines.join("\n")}\n`;
}

/** A bill of materials: CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/). */
export function billOfMaterials({ version, time, packages, programs }) {
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString(),
      component: { type: "application", name: "prism", version, licenses: [{ license: { id: "MIT" } }] },
    },
    components: [...programs.map(programEntry), ...packages.map(packageEntry)],
  };
}

function programEntry({ name, version, license, address }) {
  const [plain] = version.split(" ");
  return {
    ...{ type: "application", name, version, licenses: [{ license: { id: license } }] },
    purl: `pkg:generic/${name}@${plain}`,
    externalReferences: [{ type: "website", url: address }],
  };
}

function packageEntry({ name, version, license, integrity }) {
  return {
    ...{ type: "library", name, version, licenses: [licenseEntry(license)] },
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(integrity && { hashes: [{ alg: "SHA-512", content: sha512Of(integrity) }] }),
  };
}

/** One licence has an id; "(MIT OR Apache-2.0)" is an expression. */
function licenseEntry(license) {
  return / /.test(license) ? { expression: license } : { license: { id: license } };
}

function sha512Of(integrity) {
  return Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
}
