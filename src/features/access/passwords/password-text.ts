import { createHmac } from "node:crypto";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { normalised } from "../../../core/text/clean-text.ts";

/** bcrypt ignores further bytes. */
const BCRYPT_BYTES = 72;
const MAX_BYTES = 1024;
/** Minimum cost of imported hashes, like that of `auth.bcryptCost`. */
export const MIN_HASH_COST = 4;
export const MAX_HASH_COST = 16;
const LONG_PASSWORD_KEY = "prism-pw-v1";

/**
 * The input of bcrypt for a password: the NFKC text if it fits in 72 bytes, so that imported hashes
 * verify; otherwise base64(HMAC-SHA-256), so that nothing is cut off silently. @throws
 * VALIDATION_FAILED for an invalid password
 */
export function bcryptInput(password: string): string {
  const text = normalised(password, "NFKC");
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES) throw invalid(`must be at most ${MAX_BYTES} bytes`);
  if (text.includes("\0")) throw invalid("must not contain U+0000");
  return bytes <= BCRYPT_BYTES ? text : createHmac("sha256", LONG_PASSWORD_KEY).update(text).digest("base64");
}

/** @throws VALIDATION_FAILED for an invalid password */
export function requirePossible(password: string): void {
  bcryptInput(password);
}

/** The cost of a bcrypt hash; undefined for any other text. */
export function costOf(hash: string): number | undefined {
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(hash)?.[1];
  return cost === undefined ? undefined : Number(cost);
}

/** Of a hash of Django, as Healthchecks has them. Each iteration is two SHA-256. Fewer are those of before 2018. */
const MAX_ITERATIONS = 2_000_000;
const MIN_ITERATIONS = 100_000;

interface DjangoHash {
  readonly iterations: number;
  readonly salt: string;
  readonly hash: Buffer;
}

/** A hash of Django's default hasher, `pbkdf2_sha256$iterations$salt$hash`; undefined for any other text. */
export function djangoHash(text: string): DjangoHash | undefined {
  const form = /^pbkdf2_sha256\$(\d{1,7})\$([^$\s]{1,64})\$([A-Za-z0-9+/]{43}=)$/;
  const [, count, salt = "", hash] = form.exec(text) ?? [];
  const iterations = Number(count);
  if (hash === undefined || iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) return undefined;
  return { iterations, salt, hash: Buffer.from(hash, "base64") };
}

/** A hash without a password: comparing with it takes the time of its cost and returns false. */
export function decoyHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, "0")}$${"decoy".padEnd(22, "x")}${"x".repeat(31)}`;
}

/**
 * Refuses a new password that is short, common, or contains a name of the account.
 * @param names mail address, username, phone: public values. @throws WEAK_PASSWORD,
 * VALIDATION_FAILED
 */
export function requireStrong(
  password: string,
  minLength: number,
  names: readonly (string | null | undefined)[],
): void {
  requirePossible(password);
  const text = normalised(password, "NFKC");
  if ([...text].length < minLength) throw weak(`must be at least ${minLength} characters long`);
  const lower = text.toLowerCase();
  if (WEAK_PASSWORDS.has(lower)) throw weak("is one of the most used passwords");
  const own = names.flatMap((name) => (name ? [name.toLowerCase(), name.toLowerCase().split("@")[0]] : []));
  if (own.includes(lower)) throw weak("must not be the account's own name");
}

function invalid(message: string): PrismError {
  return invalidField("password", "password", message);
}

function weak(message: string): PrismError {
  return new PrismError("WEAK_PASSWORD", `The password ${message}`, {
    details: [{ path: "password", code: "WEAK_PASSWORD", message }],
  });
}

/**
 * The most common passwords of published leaks, and typical choices of administrators; lower case.
 * Short ones matter if `passwordMin` is low.
 */
export const WEAK_PASSWORDS: ReadonlySet<string> = new Set(
  `
123456 password 123456789 12345678 12345 qwerty 1234567 111111 1234567890 123123 abc123 1234 password1 iloveyou
1q2w3e4r 000000 qwerty123 zaq12wsx dragon sunshine princess letmein 654321 monkey 27653 1qaz2wsx 123321 qwertyuiop
superman asdfghjkl 7777777 123456a 112233 222222 baseball football welcome shadow michael jennifer 666666 master jordan
hunter trustno1 ranger buster thomas robert soccer batman test pass killer hockey george charlie andrew michelle love
jessica asshole 6969 pepper daniel access joshua maggie starwars silver william dallas yankees 123qwe ginger hammer
summer corvette taylor austin merlin matthew 121212 golfer cheese martin chelsea patrick richard diamond yellow bigdog
secret asdfgh sparky cowboy camaro anthony matrix falcon iloveyou1 bailey guitar jackson purple scooter phoenix aaaaaa
morgan tigers porsche mickey maverick cookie nascar peanut justin 131313 money horny samantha panties steelers joseph
snoopy boomer whatever iceman smokey gateway dakota cowboys eagles chicken dick black zxcvbn please andrea ferrari
knight hardcore melissa compaq coffee booboo johnny bulldog xxxxxx welcome1 james player ncc1701 wizard scooby charles
junior internet mike brandy tennis banana monster spider lakers miller rabbit enter mercedes brandon steven fender john
yamaha diablo chris boston tiger marine chicago rangers gandalf winter bigtits barney edward raiders porn badboy blowme
spanky bigdaddy johnson chester london midnight blue fishing 0000 hannah slayer 11111111 rachel redsox 987654321
qwer1234 password123 password12 passw0rd p@ssw0rd p@ssword password! password1! admin admin123 administrator root toor
changeme changeme123 default guest login letmein1 letmein123 welcome123 qwerty1 qwerty12 qwerty12345 qwertyui 1q2w3e
1q2w3e4r5t q1w2e3r4 q1w2e3r4t5 zxcvbnm zxcvbnm1 asdf1234 asdfasdf asdf qazwsx qazwsxedc 1234qwer 12qwaszx 147258369
159753 159357 789456123 741852963 963852741 123654 123654789 987654 0987654321 1111111 111111111 1111111111 22222222
33333333 44444444 55555555 66666666 77777777 88888888 99999999 00000000 0000000000 12341234 12344321 11223344 123454321
13579 135792468 2468 246810 aa123456 a123456 a1234567 a12345678 a123456789 abcd1234 abcdef abcdefg abcdefgh abc12345
abc123456 aaaaaaaa asd123 asdasd asdqwe123 blink182 bubbles butterfly computer computer1 cheese1 chocolate cookie1
dearbook donald dubsmash evite family flower football1 forever freedom friends fuckyou fuckyou1 fyfcft gfhjkm ghbdtn
google hello hello123 hellokitty heaven iloveu internet1 jasmine jesus jesus1 jordan23 killer1 liverpool lovely loveme
love123 lucky maggie1 marina michael1 minecraft monkey1 mustang mynoob naruto nicole ninja nothing omgpop orange
pakistan passer2009 picture1 pokemon pokemon1 princess1 q1q1q1q1 samsung sandra secret1 senha senha123 shadow1 soccer1
spiderman start123 success summer1 sunshine1 sunshine123 superman1 superstar target123 tinkle test123 test1234 testing
testing123 tester testtest thunder trustno1! unknown vanessa victoria welcome01 winner winter123 summer2024 summer2025
winter2024 winter2025 spring2024 spring2025 autumn2024 autumn2025 p455w0rd pa55word pa55w0rd passwort passwort1
hallo123 schatz motdepasse azerty azerty123 azertyuiop soleil bonjour contraseña contrasena qwertz qwertz123 qwertzuiop
master123 mypassword mypass monitor123 prism prism123 server server123 system system123 oracle postgres mysql redis
rootroot r00t supervisor manager manager123 operator support support123 service backup demo demo123 sample example temp
temp123 temporary newpassword newpass oldpassword nopassword nopass password2 password3 password4 password01 password11
password1234 password12345 password2024 password2025 password2026 drowssap 1password mypassword1 thisisapassword
passpass pass1234 pass123 pass12345 secret123 topsecret supersecret opensesame iamadmin superuser superadmin adminadmin
admin1 admin12 admin1234 admin12345 admin@123 admin888 root123 root1234 user user123 user1234 username usuario changeit
changeme1 letmeinnow access14 qwe123 qweasd qweasdzxc qweqwe qwe123qwe 1qazxsw2 zaq1zaq1 xsw21qaz !qaz2wsx 1qaz@wsx
zaq!2wsx 1qaz2wsx3edc q2w3e4r5 1a2b3c 1a2b3c4d a1b2c3 a1b2c3d4 abc@123 abcabc aaa111 aa12345678 zz123456 q123456
z123456 s123456 w123456 qq123456 woaini woaini1314 5201314 1314520 520520 7758521 110110 101010 102030 123abc 123asd
123qweasd 123456q 123456b 123456abc 123456aa 12345a 12345q 12345qwert 12345678a 123456789a 123456789q 123123123 123123a
1231234 1232323 121212121 1212312121 321321 321654987 456123 456789 7654321 87654321 9876543210 8675309 696969
6666666666 7777777777 5555555555 252525 232323 212121 202020 123789 147147 147852 258456 369369 420420 911911 alexander
amanda angel angel1 anthony1 apples ashley asshole1 august baby babygirl babygirl1 barcelona beautiful brandon1
brittany carlos charlie1 christian cristina daniel1 danielle dolphin dragon1 eminem everton fernando fluffy gabriel
gangsta garfield godzilla hannah1 harley heather jessica1 joseph1 justin1 kitty kristina lauren leonardo linkinpark
london1 louise manchester marlboro martina matthew1 melissa1 metallica mexico natalia natasha newyork nicholas nicole1
nintendo patricia peaches peanut1 playboy poohbear prince princesa qazxsw rainbow rebecca reggae ricardo robert1
rockstar samantha1 scorpion sebastian sexy shannon slipknot snickers snowball softball spongebob stephanie steven1
sweety taylor1 teddybear tequiero teresa tigger tweety valentina veronica vincent volleyball yankees1 zachary
`
    .trim()
    .split(/\s+/),
);
