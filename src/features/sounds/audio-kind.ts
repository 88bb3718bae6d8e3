/** A kind of audio file that can be stored: what it is called on the wire, and how its names end. */
export interface AudioKind {
  readonly mime: string;
  readonly extension: "mp3" | "ogg" | "wav";
}

const MP3: AudioKind = { mime: "audio/mpeg", extension: "mp3" };
const OGG: AudioKind = { mime: "audio/ogg", extension: "ogg" };
const WAV: AudioKind = { mime: "audio/wav", extension: "wav" };

/** What a stream in an Ogg file begins with: Vorbis, Opus, FLAC, Speex. Video begins otherwise. */
const OGG_AUDIO = ["\x01vorbis", "OpusHead", "\x7fFLAC", "Speex   "];
/** Header of an Ogg page without its table of segments (RFC 3533 section 6). */
const OGG_HEADER_BYTES = 27;
const MIN_BYTES = 32;

/** What the bytes are, by their content alone. @returns undefined for what is not audio of a known kind */
export function audioKindOf(bytes: Buffer): AudioKind | undefined {
  if (bytes.length < MIN_BYTES) return undefined;
  if (isWav(bytes)) return WAV;
  if (isOgg(bytes)) return OGG;
  return isMp3(bytes) ? MP3 : undefined;
}

/** RIFF with the form WAVE, whose first chunk says the format. */
function isWav(bytes: Buffer): boolean {
  return ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 8) === "WAVEfmt ";
}

/** The first page begins a stream, and that holds audio. */
function isOgg(bytes: Buffer): boolean {
  if (ascii(bytes, 0, 4) !== "OggS" || bytes[4] !== 0 || bytes[5] !== 2) return false;
  const start = OGG_HEADER_BYTES + (bytes[OGG_HEADER_BYTES - 1] ?? 0);
  return OGG_AUDIO.some((magic) => ascii(bytes, start, magic.length) === magic);
}

/** An ID3v2 tag, or a frame of MPEG audio layer III. */
function isMp3(bytes: Buffer): boolean {
  if (ascii(bytes, 0, 3) !== "ID3") return isFrame(bytes, 0);
  const [version = 0xff, , , ...size] = bytes.subarray(3, 10);
  return version >= 2 && version <= 4 && size.every((part) => part < 0x80);
}

/** Eleven bits of sync, then a version, layer, bit rate and sampling rate that there are (ISO 11172-3 section 2.4.1.3). */
function isFrame(bytes: Buffer, at: number): boolean {
  const [sync = 0, second = 0, third = 0] = bytes.subarray(at, at + 3);
  const version = (second >> 3) & 3;
  const layer = (second >> 1) & 3;
  const bitRate = third >> 4;
  return (
    sync === 0xff &&
    second >> 5 === 7 &&
    version !== 1 &&
    layer === 1 &&
    bitRate > 0 &&
    bitRate < 15 &&
    ((third >> 2) & 3) !== 3
  );
}

function ascii(bytes: Buffer, at: number, length: number): string {
  return bytes.toString("latin1", at, at + length);
}
