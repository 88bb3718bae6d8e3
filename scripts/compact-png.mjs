// A screenshot with a palette of 256 colours, a third of its size.
import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const COLOURS = 256;

/** @param png 8 bits a channel, RGB or RGBA, not interlaced, as browsers write it; opaque */
export function compactPng(png) {
  const { width, height, pixels, counts } = read(png);
  const palette = paletteOf(counts);
  const indexOf = new Map();
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const colour = pixels[y * width + x];
      let index = indexOf.get(colour);
      if (index === undefined) {
        index = nearest(palette, colour);
        indexOf.set(colour, index);
      }
      rows[y * (width + 1) + 1 + x] = index;
    }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((colour) => channels(colour)));
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", head),
    chunk("PLTE", colours),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function channels(colour) {
  return [colour >> 16, (colour >> 8) & 255, colour & 255];
}

/** Pixels as numbers 0xRRGGBB, and how often each occurs. */
function read(png) {
  let width = 0;
  let height = 0;
  let bytesPerPixel = 3;
  const data = [];
  for (let at = SIGNATURE.length; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const length = png.readUInt32BE(at);
    const body = png.subarray(at + 8, at + 8 + length);
    const type = png.toString("latin1", at + 4, at + 8);
    if (type === "IHDR") {
      width = body.readUInt32BE(0);
      height = body.readUInt32BE(4);
      bytesPerPixel = body[9] === 6 ? 4 : 3;
    } else if (type === "IDAT") data.push(body);
  }
  const lines = unfiltered(inflateSync(Buffer.concat(data)), width * bytesPerPixel, height, bytesPerPixel);
  const pixels = new Uint32Array(width * height);
  const counts = new Map();
  for (let n = 0; n < pixels.length; n++) {
    const at = n * bytesPerPixel;
    const colour = (lines[at] << 16) | (lines[at + 1] << 8) | lines[at + 2];
    pixels[n] = colour;
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  return { width, height, pixels, counts };
}

/** PNG specification, section 9: each line has a filter that refers to the bytes left and above. */
function unfiltered(bytes, lineBytes, height, step) {
  const lines = Buffer.alloc(lineBytes * height);
  for (let y = 0; y < height; y++) {
    const filter = bytes[y * (lineBytes + 1)];
    for (let x = 0; x < lineBytes; x++) {
      const left = x < step ? 0 : lines[y * lineBytes + x - step];
      const above = y === 0 ? 0 : lines[(y - 1) * lineBytes + x];
      const corner = x < step || y === 0 ? 0 : lines[(y - 1) * lineBytes + x - step];
      const guess = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
      lines[y * lineBytes + x] = bytes[y * (lineBytes + 1) + 1 + x] + guess;
    }
  }
  return lines;
}

function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [left, above, corner].map((value) => Math.abs(guess - value));
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

/** Median cut: the box with the widest channel is split until there are enough. */
function paletteOf(counts) {
  const boxes = [[...counts].map(([colour, count]) => ({ colour, count, rgb: channels(colour) }))];
  const widths = (box) =>
    [0, 1, 2].map((channel) => {
      const values = box.map(({ rgb }) => rgb[channel]);
      return values.reduce((a, b) => Math.max(a, b), 0) - values.reduce((a, b) => Math.min(a, b), 255);
    });
  const measured = new Map();
  const widest = (box) => {
    if (!measured.has(box)) measured.set(box, box.length < 2 ? 0 : Math.max(...widths(box)));
    return measured.get(box);
  };
  while (boxes.length < COLOURS) {
    const at = boxes.reduce((best, box, index) => (widest(box) > widest(boxes[best]) ? index : best), 0);
    const box = boxes[at];
    if (widest(box) === 0) break;
    const of = widths(box);
    const channel = of.indexOf(Math.max(...of));
    const sorted = box.toSorted((a, b) => a.rgb[channel] - b.rgb[channel]);
    const middle = Math.ceil(sorted.length / 2);
    boxes.splice(at, 1, sorted.slice(0, middle), sorted.slice(middle));
  }
  // The most frequent colour of a box stays as it is, so that plain surfaces are exact.
  return boxes.map((box) => box.reduce((a, b) => (b.count > a.count ? b : a)).colour);
}

function nearest(palette, colour) {
  const wanted = channels(colour);
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [index, each] of palette.entries()) {
    const far = channels(each).reduce((sum, value, channel) => sum + (value - wanted[channel]) ** 2, 0);
    if (far < least) [best, least] = [index, far];
  }
  return best;
}

function chunk(type, body) {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length, 0);
  head.write(type, 4, "latin1");
  const end = Buffer.alloc(4);
  end.writeUInt32BE(checksum(Buffer.concat([head.subarray(4), body])), 0);
  return Buffer.concat([head, body, end]);
}

/** CRC-32 as in section D of the specification; zlib has it only from Node 22 on. */
function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
