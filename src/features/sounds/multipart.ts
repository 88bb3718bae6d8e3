import { PrismError } from "../../core/errors.ts";

/** A file that a form sent. The bytes are a part of the body, not a copy. */
export interface FormFile {
  readonly filename: string;
  readonly bytes: Buffer;
}

const MAX_HEAD_BYTES = 4096;
const END_OF_HEAD = Buffer.from("\r\n\r\n");
/** RFC 2046 section 5.1.1. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/;

/**
 * The one file of a form (RFC 7578), in a part called `name`, and nothing else. Strict: what browsers and HTTP libraries send, no nesting, no
 * transfer encodings, no text before the first boundary.
 * @param contentType the request's field, with its boundary
 * @throws VALIDATION_FAILED
 */
export function readFormFile(contentType: string, body: Buffer, name: string): FormFile {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) throw formRefused("multipart/form-data needs a boundary");
  const opening = Buffer.from(`--${boundary}\r\n`, "latin1");
  if (!body.subarray(0, opening.length).equals(opening)) throw formRefused("the form does not begin with its boundary");
  const headEnd = body.indexOf(END_OF_HEAD, opening.length);
  if (headEnd < 0 || headEnd - opening.length > MAX_HEAD_BYTES)
    throw formRefused("a part of the form has no end of its head");
  const filename = filenameOf(body.toString("utf8", opening.length, headEnd), name);
  const start = headEnd + END_OF_HEAD.length;
  const closing = Buffer.from(`\r\n--${boundary}`, "latin1");
  const end = body.indexOf(closing, start);
  if (end < 0) throw formRefused("the form ends within a part");
  const rest = body.toString("latin1", end + closing.length);
  if (rest !== "--" && rest !== "--\r\n") throw formRefused(`send one part, called ${name}, and nothing else`);
  return { filename, bytes: body.subarray(start, end) };
}

function boundaryOf(contentType: string): string | undefined {
  const match = /;\s*boundary=(?:"([^"]*)"|([^\s;"]+))\s*(?:;|$)/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  return boundary !== undefined && BOUNDARY.test(boundary) ? boundary : undefined;
}

/** From the head of a part, which must be the file that is asked for. */
function filenameOf(head: string, name: string): string {
  const lines = head.split("\r\n");
  const dispositions = lines.filter((line) => /^content-disposition\s*:/i.test(line));
  const [disposition] = dispositions;
  if (disposition === undefined || dispositions.length > 1)
    throw formRefused("a part of the form needs a Content-Disposition");
  if (lines.some((line) => /^content-transfer-encoding\s*:/i.test(line) && !/:\s*(binary|8bit|7bit)\s*$/i.test(line)))
    throw formRefused("send the file as it is, without a transfer encoding");
  if (!/:\s*form-data\s*;/i.test(disposition) || parameterOf(disposition, "name") !== name)
    throw formRefused(`send one part, called ${name}, and nothing else`);
  const filename = parameterOf(disposition, "filename");
  if (filename === undefined) throw formRefused(`the part ${name} must be a file with a filename`);
  return filename;
}

/** A quoted parameter, or a token; `filename*` is not for forms (RFC 7578 section 4.2). */
function parameterOf(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^\\s;"]+))`, "i").exec(disposition);
  return match?.[1] ?? match?.[2];
}

function formRefused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [{ path: "", code: "VALUE", message }],
  });
}
