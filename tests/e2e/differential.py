# SPDX-License-Identifier: Apache-2.0
"""Commands drawn at random, and how the replies of two servers to one of them are compared."""

FAR = 33_000_000_000_000  # ms since 1970: nothing expires of this in our time
VALUE_MAX = 1024 * 1024

NUMBERS = [b"0", b"1", b"-1", b"2", b"3", b"7", b"8", b"-8", b"15", b"63", b"64", b"100", b"-100"]
ODD_NUMBERS = [b"", b"abc", b" 1", b"1 ", b"+1", b"01", b"-0", b"1.5", b"1e3", b"0x10", b"1\x00",
               b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"4294967295",
               b"4294967296", b"9223372036854775807", b"9223372036854775808",
               b"-9223372036854775808", b"-9223372036854775809", b"99999999999999999999999"]
FLOATS = [b"0.1", b"-0.1", b"3.0", b"1e3", b"-2.5E-3", b"5.0e1", b".5", b"5.", b"1e17", b"1e-17",
          b"3.14159265358979323846", b"0x1p3", b"0x.8", b"1e4000", b"1e4932", b"-1e4931",
          b"1e-4000", b"1e5000", b"1e-5000", b"-1e-5000", b"0e9999", b"inf", b"-inf", b"+infinity",
          b"nan", b"nan(1)", b"1,5", b"1e", b"e5", b"--1", b"0.30000000000000004",
          b"123456789012345678901"]
WORDS = [b"NX", b"XX", b"GT", b"LT", b"GET", b"KEEPTTL", b"PERSIST", b"REPLACE", b"EX", b"PX",
         b"EXAT", b"PXAT", b"BYTE", b"BIT", b"LEN", b"IDX", b"MATCH", b"COUNT", b"DB", b"nonsense",
         b"", b"\x00\xff"]


class Draw:
    """What the arguments of commands are drawn from. `may_lapse`: values may be given an expiry
    that is over already."""

    def __init__(self, rng, may_lapse, payloads=()):
        self.rng = rng
        self.may_lapse = may_lapse
        self.payloads = list(payloads)
        self.times = 0
        self.keys = [b"a", b"b", b"c", b"dd", b"{tag}1", b"{tag}2", b"\x00\x01\xfe\xff\r\n",
                     b"k" * 300]
        self.set_keys = [b"set:1", b"set:2", b"set:3"]  # written by SET and nothing else

    def one(self, *values):
        return self.rng.choice(values)

    def chance(self, of):
        return self.rng.randrange(of) == 0

    def key(self):
        return self.one(b"none", b"none2") if self.chance(12) else self.rng.choice(self.keys)

    def all_keys(self):
        return [*self.keys, *self.set_keys, b"none", b"none2"]

    def several_keys(self, most=4):
        return [self.key() for _ in range(self.rng.randint(1, most))]

    def any_key(self):
        return self.rng.choice(self.set_keys) if self.chance(4) else self.key()

    def number(self):
        return self.rng.choice(ODD_NUMBERS) if self.chance(8) else self.rng.choice(NUMBERS)

    def float(self):
        return self.number() if self.chance(3) else self.rng.choice(FLOATS)

    def index(self):
        if self.chance(8):
            return self.rng.choice(ODD_NUMBERS)
        return b"%d" % self.rng.randint(-40, 40)

    def bytes(self, most):
        return self.rng.randbytes(self.rng.randint(0, most))

    def value(self):
        kind = self.rng.randrange(12)
        if kind < 3:
            return b"%d" % self.rng.randint(-20, 20)
        if kind == 3:
            return self.rng.choice(ODD_NUMBERS)
        if kind == 4:
            return self.float()
        if kind < 8:
            return self.bytes(24)
        if kind == 8:
            return b"%d" % self.rng.randint(-1 << 63, (1 << 63) - 1)
        if kind == 9:
            return bytes(self.rng.choices(b"abcd", k=self.rng.randint(0, 60)))
        if kind == 10:
            return self.one(b"", b"\x00", b"\xff" * 9, b"x" * 44, b"x" * 45)
        return self.bytes(40_000 if self.chance(8) else 500)

    def word(self, word):
        """The word in some case, or, now and then, another one."""
        if self.chance(40):
            word = self.rng.choice(WORDS)
        return word.lower() if self.chance(2) else word

    def expiry(self):
        kind = self.rng.randrange(10)
        if kind == 0:
            return self.rng.choice(ODD_NUMBERS)
        if kind == 1 or (kind == 2 and self.may_lapse):
            return self.one(b"0", b"-1", b"-5") if kind == 1 else b"1"
        return None

    def time(self, word):
        """A time for EX, PX, EXAT or PXAT: far away, over, or none at all."""
        odd = self.expiry()
        if odd == b"1" and word in (b"EX", b"PX"):
            odd = None  # it would be over between two commands
        if word == b"PXAT" and odd is not None and 9 < len(odd) < 11 and not self.may_lapse:
            odd = None  # a moment of 1970
        if odd is not None:
            return odd
        far = FAR + self.rng.randrange(100_000)
        self.times += 1  # from now; no two are near each other: whether GT is so must be clear
        soon = 1_000_000 + 7919 * self.times % 99991 * 100
        return b"%d" % {b"EX": soon, b"PX": 1000 * soon, b"EXAT": far // 1000, b"PXAT": far}[word]

    def timed(self):
        meant = self.one(b"EX", b"PX", b"EXAT", b"PXAT")
        word = self.word(meant)
        is_other = word.upper() in (b"EX", b"PX", b"EXAT", b"PXAT")
        return [word, self.time(word.upper() if is_other else meant)]

    def options(self, most, *makers):
        """Some of what the makers make, in any order."""
        chosen = self.rng.choices(makers, k=self.rng.randint(0, most)) if self.chance(2) else []
        return [word for maker in chosen for word in maker()]

    def a_word(self, *words):
        return lambda: [self.word(self.one(*words))]

    def glob(self):
        return self.one(b"*", b"?", b"{tag}?", b"[a-c]", b"[^a]", b"set:*", b"none*", b"\\a", b"[",
                        b"")

    def bit_offset(self):
        if self.chance(10):
            return self.rng.choice(ODD_NUMBERS + [b"%d" % (8 * VALUE_MAX), b"#3"])
        return b"%d" % self.rng.randint(0, 300)

    def field(self):
        """A type and an offset."""
        if self.chance(30):
            return [self.one(b"i65", b"u64", b"i0", b"u0", b"x8", b"i", b"", b"i-1", b"u1x", b"I8"),
                    b"0"]
        width = self.one(1, 2, 4, 5, 8, 13, 16, 31, 32, 33, 48, 62, 63)
        if self.chance(10):
            return [b"i64", self.bit_offset()]
        offset = b"#%d" % self.rng.randint(0, 9) if self.chance(3) else self.bit_offset()
        return [b"%s%d" % (self.one(b"i", b"u"), width), offset]

    def field_operation(self):
        kind = self.rng.randrange(4)
        if kind == 0:
            return [self.word(b"GET"), *self.field()]
        if kind == 1:
            return [self.word(b"OVERFLOW"), self.word(self.one(b"WRAP", b"SAT", b"FAIL"))]
        by = self.value() if self.chance(4) else self.number()
        if kind == 2 and by == b"-9223372036854775808":
            by = b"0"  # redis-server computes with it what overflows, and saturates to the greatest
        return [self.word(b"SET" if kind == 2 else b"INCRBY"), *self.field(), by]

    def field_operations(self):
        return [word for _ in range(self.rng.randint(0, 5)) for word in self.field_operation()]

    def restore_time(self):
        """Without ABSTTL it is a while from now, with it a moment: this is either, and far away."""
        if self.chance(8):
            return self.one(b"-1", b"x", b"", b"1.5")
        return self.one(b"0", b"0", b"%d" % (FAR + self.rng.randrange(1000)))

    def payload(self):
        payload = self.rng.choice(self.payloads)
        if self.chance(4):
            return payload
        if self.chance(8):
            at = self.rng.randrange(len(payload))
            flipped = payload[at] ^ 1 << self.rng.randrange(8)
            return payload[:at] + bytes([flipped]) + payload[at + 1:]
        if self.chance(20):
            return payload[:self.rng.randrange(len(payload))]
        return payload


def set_command(d):
    if d.chance(4):
        return [d.rng.choice(d.set_keys), d.value()]
    return [d.key(), d.value(),
            *d.options(3, d.timed, d.a_word(b"NX", b"XX", b"GET", b"KEEPTTL"),
                       d.a_word(b"NX", b"XX"))]


def expire_command(word):
    def draw(d):
        return [d.key(), d.time(word), *d.options(2, d.a_word(b"NX", b"XX", b"GT", b"LT"))]
    return draw


def bit_range(d):
    kind = d.rng.randrange(6)
    if kind == 0:
        return []
    end = [d.index()] if kind > 1 else []
    unit = [d.word(d.one(b"BYTE", b"BIT"))] if kind > 3 else []
    return [d.index(), *end, *unit]


def read_only_fields(d):
    return d.field_operations() if d.chance(8) else [b"GET", *d.field()]


def numbered(d, word):
    """An option with a number behind it."""
    return lambda: [d.word(word), d.number()]


def pairs(d):
    return [word for _ in range(d.rng.randint(1, 4)) for word in (d.key(), d.value())]


def flush_command(d):
    """Mostly refused: little is to be seen of the others where there are no keys."""
    if not d.chance(8):
        return [d.one(b"now", b"ASYNC SYNC", b"")]
    return d.options(1, d.a_word(b"ASYNC", b"SYNC"))


# What comes after the name of each command.
COMMANDS = {
    "get": lambda d: [d.any_key()],
    "set": set_command,
    "setex": lambda d: [d.key(), d.time(b"EX"), d.value()],
    "psetex": lambda d: [d.key(), d.time(b"PX"), d.value()],
    "setnx": lambda d: [d.key(), d.value()],
    "getset": lambda d: [d.key(), d.value()],
    "getdel": lambda d: [d.key()],
    "getex": lambda d: [d.key(), *d.options(2, d.timed, d.a_word(b"PERSIST"))],
    "mget": lambda d: d.several_keys(),
    "mset": pairs,
    "strlen": lambda d: [d.any_key()],
    "getrange": lambda d: [d.any_key(), d.index(), d.index()],
    "substr": lambda d: [d.any_key(), d.index(), d.index()],
    "setrange": lambda d: [d.key(), d.one(d.index(), d.index(), b"%d" % VALUE_MAX), d.value()],
    "append": lambda d: [d.key(), d.value()],
    "incr": lambda d: [d.key()],
    "decr": lambda d: [d.key()],
    "incrby": lambda d: [d.key(), d.number()],
    "decrby": lambda d: [d.key(), d.number()],
    "incrbyfloat": lambda d: [d.key(), d.float()],
    "msetnx": pairs,
    "getbit": lambda d: [d.any_key(), d.bit_offset()],
    "setbit": lambda d: [d.key(), d.bit_offset(), d.one(b"0", b"1", b"1", d.number())],
    "bitcount": lambda d: [d.any_key(), *bit_range(d)],
    "bitpos": lambda d: [d.any_key(), d.one(b"0", b"1", d.number()), *bit_range(d)],
    "bitop": lambda d: [d.word(d.one(b"AND", b"OR", b"XOR", b"NOT")), d.key(), *d.several_keys(3)],
    "bitfield": lambda d: [d.key(), *d.field_operations()],
    "bitfield_ro": lambda d: [d.any_key(), *read_only_fields(d)],
    "lcs": lambda d: [d.any_key(), d.any_key(),
                      *d.options(3, d.a_word(b"LEN", b"IDX", b"WITHMATCHLEN"),
                                 numbered(d, b"MINMATCHLEN"))],
    "rename": lambda d: [d.key(), d.key()],
    "renamenx": lambda d: [d.key(), d.key()],
    "copy": lambda d: [d.key(), d.key(), *d.options(2, d.a_word(b"REPLACE"), numbered(d, b"DB"),
                                                    lambda: [d.word(b"DB"), b"0"])],
    "randomkey": lambda d: [],
    "dump": lambda d: [d.any_key()],
    "restore": lambda d: [d.key(), d.restore_time(), d.payload(),
                          *d.options(3, d.a_word(b"REPLACE"), d.a_word(b"REPLACE", b"ABSTTL"),
                                     numbered(d, b"FREQ"), numbered(d, b"IDLETIME"))],
    "object|freq": lambda d: [d.any_key()],
    "del": lambda d: d.several_keys(),
    "unlink": lambda d: d.several_keys(),
    "exists": lambda d: d.several_keys(),
    "touch": lambda d: d.several_keys(),
    "type": lambda d: [d.any_key()],
    "ttl": lambda d: [d.any_key()],
    "pttl": lambda d: [d.any_key()],
    "expiretime": lambda d: [d.any_key()],
    "pexpiretime": lambda d: [d.any_key()],
    "expire": expire_command(b"EX"),
    "pexpire": expire_command(b"PX"),
    "expireat": expire_command(b"EXAT"),
    "pexpireat": expire_command(b"PXAT"),
    "persist": lambda d: [d.key()],
    "scan": lambda d: [d.one(b"0", b"0", b"0", b"x", b"18446744073709551616"),
                       *d.options(2, lambda: [d.word(b"MATCH"), d.glob()], numbered(d, b"COUNT"),
                                  lambda: [d.word(b"TYPE"), d.one(b"string", b"LIST", b"")])],
    "keys": lambda d: [d.glob()],
    "dbsize": lambda d: [],
    "flushall": flush_command,
    "flushdb": flush_command,
    "object|encoding": lambda d: [d.rng.choice(d.set_keys + [b"never"])],
    "ping": lambda d: d.options(1, lambda: [d.value()]),
    "echo": lambda d: [d.value()],
    "select": lambda d: [d.one(b"0", b"1", b"-1", b"x", b"", b"00", b"99999999999999999999")],
    "auth": lambda d: [d.value(), *d.options(1, lambda: [d.value()])],
    "client|setname": lambda d: [d.one(b"me", b"", b"two words", b"\x00", b"\xff")],
    "client|getname": lambda d: [],
    "client|unpause": lambda d: [],
    "client|unblock": lambda d: [d.one(b"1000000", b"x", b"-1"),
                                 *d.options(1, d.a_word(b"TIMEOUT", b"ERROR", b"nonsense"))],
    "client|getredir": lambda d: [],
    "client|caching": lambda d: [d.word(d.one(b"YES", b"NO", b"nonsense"))],
    "wait": lambda d: [d.one(b"0", b"-1", b"x"), d.one(b"0", b"5", b"-1", b"x", b"1.5")],
    "slowlog|reset": lambda d: [],
    "latency|reset": lambda d: [],
    "role": lambda d: [],
    "module|list": lambda d: [],
    "acl|whoami": lambda d: [],
    "acl|users": lambda d: [],
    "command|getkeys": lambda d: d.one([b"GET", b"a"], [b"mset", b"a", b"1", b"b", b"2"],
                                       [b"PING"], [b"SET"],
                                       [b"nonsense", b"a"], [b"del", *d.several_keys()]),
    "multi": lambda d: [],
    "exec": lambda d: [],
    "discard": lambda d: [],
    "watch": lambda d: d.several_keys(),
    "unwatch": lambda d: [],
}

# Drawn as the parts of transactions, not by themselves.
TRANSACTIONS = ["multi", "exec", "discard", "watch", "unwatch"]


def transaction(draw, names):
    """A transaction as it should be, or nearly so. Where values may lapse nothing is watched: they do
    at each server's own time. What is written and flushed while it is watched is no change here, as
    docs/commands.md says."""
    def some(most):
        return draw.rng.choices(names, k=draw.rng.randint(0, most))
    queued = some(6)
    if draw.chance(8):
        queued.insert(draw.rng.randint(0, len(queued)), draw.one("multi", "watch", "unwatch"))
    block = ["multi", *queued, draw.one("exec", "exec", "exec", "exec", "discard")]
    if draw.chance(2) and not draw.may_lapse:
        between = some(2)
        flushes = [name for name in between if name.startswith("flush")]
        block = ["watch", *(flushes or between), *block]
    if draw.chance(20):
        del block[draw.rng.randrange(len(block))]
    if draw.may_lapse:
        block = [name for name in block if name != "watch"]
    return [(name, words_of(draw, name)) for name in block]

# What another comparison than that of bytes is for, and why.
NEAR = {  # a moment lies between the two servers
    "ttl": 2, "pttl": 2000, "expiretime": 2, "pexpiretime": 2000,
}
# Further, in are_equal: the order of keys is each server's own, and where a page of SCAN ends.

# Commands that are not in the streams, and why not.
OTHERWISE = {
    "hello": "names the server; its protocols are what the streams are run in",
    "quit": "ends the connection",
    "reset": "goes back to RESP2, and out of what a stream is run in",
    "readonly": "is for clusters: a redis-server alone refuses it",
    "readwrite": "is for clusters: a redis-server alone refuses it",
    "asking": "is for clusters: a redis-server alone refuses it",
    "object|refcount": "redis-server shares small numbers, and says so",
    "object|idletime": "redis-server counts reads as uses, too",
    "consistency": "is Quoit's own",
    "kv.get": "is Quoit's own",
    "kv.put": "is Quoit's own",
    "kv.del": "is Quoit's own",
    "kv.range": "is Quoit's own",
    "client|id": "counts connections",
    "client|setinfo": "came with Redis 7.2",
    "client|list": "shows ports and times",
    "client|info": "shows ports and times",
    "client|kill": "ends connections",
    "client|no-evict": "takes any argument here: there is no eviction",
    "client|no-touch": "came with Redis 7.2",
    "memory|usage": "each server's own sizes",
    "info": "each server's own state",
    "time": "each server's own clock",
    "config|get": "each server's own settings",
    "config|set": "each server's own settings",
    "config|resetstat": "shows nothing",
    "config|rewrite": "each server's own file",
    "client|pause": "makes the other commands wait",
    "client|reply": "leaves replies out",
    "client|tracking": "is refused here",
    "client|trackinginfo": "nothing is tracked here",
    "monitor": "never ends; is refused here unless a setting allows it",
    "debug|sleep": "is refused here unless a setting allows it",
    "save": "each server's own state",
    "bgsave": "each server's own state",
    "bgrewriteaof": "each server's own state",
    "lastsave": "each server's own clock",
    "slowlog|get": "each server's own state",
    "slowlog|len": "each server's own state",
    "latency|latest": "each server's own state",
    "latency|history": "each server's own state",
    "latency|histogram": "each server's own state",
    "latency|doctor": "each server's own state",
    "memory|doctor": "each server's own state",
    "memory|purge": "each server's own state",
    "memory|stats": "each server's own state",
    "lolwut": "each server's own picture",
    "acl|cat": "each server's own commands",
    "acl|genpass": "draws at random",
    "acl|list": "each server's own form of a user",
    "replicaof": "a node is nobody's replica",
    "slaveof": "a node is nobody's replica",
    "command|getkeysandflags": "each server's own commands",
    "command|count": "each server's own commands",
    "command|info": "each server's own commands",
    "command|docs": "each server's own commands",
    "command|list": "each server's own commands",
}
CONTAINERS_OTHERWISE = {
    "cluster": "a redis-server alone is no cluster",
    "quoit": "is Quoit's own",
    "keyspace": "is Quoit's own",
}


def is_otherwise(name):
    return (name in OTHERWISE or name.split("|")[0] in CONTAINERS_OTHERWISE or
            name.endswith("|help"))  # each server's own subcommands


def words_of(draw, name):
    """The command, complete; now and then with an argument too few or too many."""
    words = [word.upper() if draw.chance(2) else word for word in name.encode().split(b"|")]
    words += COMMANDS[name](draw)
    if draw.chance(25):
        if draw.chance(2) and len(words) > 1:
            del words[draw.rng.randrange(1, len(words))]
        else:
            extra = draw.one(draw.value(), draw.rng.choice(WORDS))
            words.insert(draw.rng.randint(1, len(words)), extra)
        words = [word or b"0" for word in words]  # another one may be the key now: none is empty
    return words


def element_of(reply, at):
    """What begins there in a reply, and where it ends."""
    end = reply.index(b"\r\n", at)
    kind, rest = reply[at:at + 1], reply[at + 1:end]
    start, at = at, end + 2
    if kind in b"*~%" and rest != b"-1":
        for _ in range(int(rest) * (2 if kind == b"%" else 1)):
            at = element_of(reply, at)[1]
    elif kind in b"$=" and rest != b"-1":
        at += int(rest) + 2
    return reply[start:at], at


def elements_of(reply):
    """Those of an array, each as it came."""
    at = reply.index(b"\r\n") + 2
    while at < len(reply):
        element, at = element_of(reply, at)
        yield element


def parsed(reply):
    """An array, of arrays, numbers and bytes."""
    def element(at):
        end = reply.index(b"\r\n", at)
        kind, rest = reply[at:at + 1], reply[at + 1:end]
        at = end + 2
        if kind in b"*~%" and rest != b"-1":
            items = []
            for _ in range(int(rest) * (2 if kind == b"%" else 1)):
                item, at = element(at)
                items.append(item)
            return items, at
        if kind == b"$" and rest != b"-1":
            return reply[at:at + int(rest)], at + int(rest) + 2
        return (int(rest) if kind == b":" else rest), at
    return element(0)[0]


def printable(error):
    """What Quoit makes of an error: control bytes in what it repeats become spaces, and no more
    than some 500 bytes are repeated."""
    return bytes(max(byte, 32) if byte != 127 else 32 for byte in error[1:-2][:500])


def are_equal(name, one, other, queued=()):
    """Whether both replies to a command say the same; to an EXEC, of the commands that were queued."""
    if one == other:
        return True
    if name == "exec" and one[:1] == other[:1] == b"*":
        ones, others = list(elements_of(one)), list(elements_of(other))
        return len(ones) == len(others) == len(queued) and all(map(are_equal, queued, ones, others))
    if name == "scan" and other == b"-ERR invalid cursor\r\n":
        return True  # redis-server takes much for a number
    if name == "lcs" and one.startswith(b"-ERR Insufficient memory"):
        return True  # each server has its own limit of work
    if one[:1] == b"-" or other[:1] == b"-":
        return one[:1] == other[:1] and printable(one) == printable(other)
    if name in NEAR and one[:1] == other[:1] == b":":
        a, b = int(one[1:]), int(other[1:])
        return min(a, b) >= 0 and abs(a - b) <= NEAR[name]
    if name == "randomkey":  # any key
        return one[:1] == other[:1] == b"$" and b"$-1\r\n" not in (one, other)
    if name == "keys":
        return sorted(parsed(one)) == sorted(parsed(other))
    if name == "scan":
        (next_one, keys_one), (next_other, keys_other) = parsed(one), parsed(other)
        is_whole = next_one == next_other == b"0"
        return not is_whole or sorted(keys_one) == sorted(keys_other)
    return False


def names_of(command_reply):
    """The commands that the reply to COMMAND lists: of containers, their subcommands."""
    names = set()
    for entry in parsed(command_reply):
        subs = entry[9] if len(entry) > 9 else []
        names |= {sub[0].decode() for sub in subs} if subs else {entry[0].decode()}
    return names
