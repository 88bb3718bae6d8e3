/*
 * The script of the packed executable. The version alone is printed without the program, for those
 * who ask for it often. VERSION is put in by build.mjs.
 */
const [, , asked, ...others] = process.argv;
if (!(["--version", "-v"].includes(asked) && others.length === 0 && isPrinted())) require("./loader.cjs");

/** The program itself has the answer to an output that is closed or full. */
function isPrinted() {
  try {
    require("node:fs").writeSync(1, `${VERSION}\n`);
    return true;
  } catch {
    return false;
  }
}
