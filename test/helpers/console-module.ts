import { build } from "esbuild";

/** A module of the console that draws nothing, which the tests' build leaves out. @param path below `console` */
export async function consoleModule<T>(path: string): Promise<T> {
  const entryPoints = [`console/${path}`];
  const { outputFiles } = await build({ entryPoints, bundle: true, write: false, format: "esm", platform: "node" });
  const code = Buffer.from(outputFiles[0]?.contents ?? "").toString("base64");
  return await import(`data:text/javascript;base64,${code}`);
}
