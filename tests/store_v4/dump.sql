PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        sum   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES('calls_for_log','0',5946170269686087262);
INSERT INTO meta VALUES('commits','15',-3666605439240863728);
INSERT INTO meta VALUES('epoch','v7nku5jciacjjjne',-1627714215752048310);
INSERT INTO meta VALUES('revocations','0',-383041958670040756);
INSERT INTO meta VALUES('rooms','3',-4091782322007771730);
INSERT INTO meta VALUES('streams','0',5686230932475458902);
INSERT INTO meta VALUES('users','0',-147168067716017509);
CREATE TABLE rooms (
        id             INTEGER PRIMARY KEY,
        name           TEXT    NOT NULL UNIQUE,
        title          TEXT    NOT NULL DEFAULT '',
        open           INTEGER NOT NULL DEFAULT 0,  -- 1: anybody may join
        ended          INTEGER NOT NULL DEFAULT 0,  -- 1: only its name and its numbers are left
        owner          TEXT,
        head           INTEGER NOT NULL DEFAULT 0,  -- seq of the newest entry
        messages       INTEGER NOT NULL DEFAULT 0,  -- how many entries are, or were, messages
        ts             INTEGER NOT NULL DEFAULT 0,  -- of the newest entry, ms since 1970
        first          INTEGER NOT NULL DEFAULT 1,  -- seq of the oldest entry that is kept
        first_ts       INTEGER NOT NULL DEFAULT 0,  -- when that was committed
        first_messages INTEGER NOT NULL DEFAULT 0,  -- how many messages there were before it
        people         INTEGER NOT NULL DEFAULT 0,  -- rows of members, invites and bans
        sum            INTEGER NOT NULL
    ) STRICT;
INSERT INTO rooms VALUES(1,'tea','',1,0,'ada',10,6,1795915983355,1,1795915983349,0,1,7300234594927910401);
INSERT INTO rooms VALUES(2,'den','',1,0,'ada',1,0,1795915983351,1,1795915983351,0,3,-6974831648839267737);
INSERT INTO rooms VALUES(3,'dm:ada:bob','',0,0,NULL,1,1,1795915983357,1,1795915983357,0,2,-7975147249614258275);
CREATE TABLE members (
        room           INTEGER NOT NULL REFERENCES rooms (id),
        user           TEXT    NOT NULL,
        joined         INTEGER NOT NULL,  -- seq of the entry by which they came; 0: direct messages
        read           INTEGER NOT NULL,  -- seq up to which they have read
        read_messages  INTEGER NOT NULL,  -- how many messages that is
        deleted_unread INTEGER NOT NULL,  -- how many messages after it are deleted
        delivered      INTEGER NOT NULL,  -- seq up to which they have received the log
        has_written    INTEGER NOT NULL,
        own            INTEGER NOT NULL,  -- 1: created or joined by themselves
        sum            INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;
INSERT INTO members VALUES(1,'ada',1,10,6,0,1,1,1,-1710055755656767212);
INSERT INTO members VALUES(2,'ada',1,1,0,0,1,0,1,1189057285469223255);
INSERT INTO members VALUES(3,'ada',0,1,1,0,0,1,0,8766879778013146702);
INSERT INTO members VALUES(3,'bob',0,0,0,0,0,0,0,-850858955124934092);
CREATE TABLE invites (
        room INTEGER NOT NULL REFERENCES rooms (id),
        user TEXT    NOT NULL,
        by   TEXT    NOT NULL,
        sum  INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;
INSERT INTO invites VALUES(2,'bob','ada',6072306856503395433);
CREATE TABLE bans (
        room INTEGER NOT NULL REFERENCES rooms (id),
        user TEXT    NOT NULL,
        by   TEXT    NOT NULL,
        sum  INTEGER NOT NULL,
        PRIMARY KEY (room, user)
    ) STRICT, WITHOUT ROWID;
INSERT INTO bans VALUES(2,'cy','ada',1169404498669611930);
CREATE TABLE entries (
        room     INTEGER NOT NULL REFERENCES rooms (id),
        seq      INTEGER NOT NULL,
        ts       INTEGER NOT NULL,  -- ms since 1970; never falls within a room
        kind     TEXT    NOT NULL
                 CHECK (kind IN ('message', 'edited', 'deleted', 'reacted', 'joined', 'left')),
        user     TEXT    NOT NULL,  -- who did it, or whoever came or went
        by       TEXT,              -- who brought or removed them
        text     TEXT,              -- of a message: its newest; NULL once it is deleted
        data     TEXT,              -- JSON as it came
        reply_to INTEGER,
        target   INTEGER,           -- seq of the message that was changed
        emoji    TEXT,
        is_on    INTEGER,           -- 0: a reaction was taken back
        cid      TEXT,              -- the author's own id, for repeats
        digest   INTEGER,           -- of what was sent with it
        messages INTEGER NOT NULL,  -- how many messages there are up to here
        edited   INTEGER,           -- seq of a message's newest edit
        deleted  INTEGER,           -- seq of the entry that deleted it
        reacted  INTEGER NOT NULL DEFAULT 0,  -- how many reactions to it hold
        sum      INTEGER NOT NULL,
        PRIMARY KEY (room, seq)
    ) STRICT, WITHOUT ROWID;
INSERT INTO entries VALUES(1,1,1795915983349,'joined','ada',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0,7666021449784191426);
INSERT INTO entries VALUES(1,2,1795915983351,'message','ada',NULL,'m0',NULL,NULL,NULL,NULL,NULL,'c0',5244033397675746496,1,NULL,NULL,0,-7536226050083920451);
INSERT INTO entries VALUES(1,3,1795915983352,'message','ada',NULL,'m1, edited',NULL,NULL,NULL,NULL,NULL,'c1',4091236864347129676,2,8,NULL,0,5785906859898668464);
INSERT INTO entries VALUES(1,4,1795915983352,'message','ada',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'c2',3397050104708990143,3,NULL,9,0,-156491166514162020);
INSERT INTO entries VALUES(1,5,1795915983353,'message','ada',NULL,'m3',NULL,NULL,NULL,NULL,NULL,'c3',-3222291972219567469,4,NULL,NULL,1,-7826076549872376803);
INSERT INTO entries VALUES(1,6,1795915983353,'message','ada',NULL,'m4',NULL,NULL,NULL,NULL,NULL,'c4',2929316745568936960,5,NULL,NULL,0,-165956413262792810);
INSERT INTO entries VALUES(1,7,1795915983354,'message','ada',NULL,'m5',NULL,NULL,NULL,NULL,NULL,'c5',-1709612940418318461,6,NULL,NULL,0,-4854717394254240195);
INSERT INTO entries VALUES(1,8,1795915983354,'edited','ada',NULL,'m1, edited',NULL,NULL,3,NULL,NULL,NULL,NULL,6,NULL,NULL,0,-3696436406153056035);
INSERT INTO entries VALUES(1,9,1795915983355,'deleted','ada',NULL,NULL,NULL,NULL,4,NULL,NULL,NULL,NULL,6,NULL,NULL,0,174546421843427252);
INSERT INTO entries VALUES(1,10,1795915983355,'reacted','ada',NULL,NULL,NULL,NULL,5,'👍',1,NULL,NULL,6,NULL,NULL,0,933100898225017839);
INSERT INTO entries VALUES(2,1,1795915983351,'joined','ada',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,0,4858818371117790729);
INSERT INTO entries VALUES(3,1,1795915983357,'message','ada',NULL,'hello','{"a": 1.5}',NULL,NULL,NULL,NULL,'d1',-7073650486491944303,1,NULL,NULL,0,-7689927555421480085);
CREATE TABLE reactions (
        room   INTEGER NOT NULL REFERENCES rooms (id),
        target INTEGER NOT NULL,  -- seq of the message
        emoji  TEXT    NOT NULL,
        user   TEXT    NOT NULL,
        seq    INTEGER NOT NULL,  -- of the entry by which it came
        sum    INTEGER NOT NULL,
        PRIMARY KEY (room, target, emoji, user)
    ) STRICT, WITHOUT ROWID;
INSERT INTO reactions VALUES(1,5,'👍','ada',10,-8164091106301742356);
CREATE TABLE revocations (
        kind   TEXT    NOT NULL CHECK (kind IN ('token', 'user')),
        key    TEXT    NOT NULL,
        before INTEGER NOT NULL,  -- those issued by then; of a token its end, or 0: ms since 1970
        sum    INTEGER NOT NULL,
        PRIMARY KEY (kind, key)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE streams (
        id    INTEGER PRIMARY KEY,
        name  TEXT    NOT NULL UNIQUE,
        epoch TEXT    NOT NULL,  -- names the life of its log
        head  INTEGER NOT NULL,  -- seq of the newest event
        ts    INTEGER NOT NULL,  -- of the newest event, ms since 1970
        first INTEGER NOT NULL,  -- seq of the oldest event that is here
        sum   INTEGER NOT NULL
    ) STRICT;
CREATE TABLE events (
        stream INTEGER NOT NULL REFERENCES streams (id),
        seq    INTEGER NOT NULL,
        ts     INTEGER NOT NULL,  -- ms since 1970; never falls within a stream
        data   ANY     NOT NULL,  -- JSON as it came, or bytes
        by     TEXT,              -- whose id it is; '': no user's
        id     TEXT,              -- the publisher's own id, for repeats
        sum    INTEGER NOT NULL,
        PRIMARY KEY (stream, seq)
    ) STRICT, WITHOUT ROWID;
CREATE TABLE users (
        id   TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        sum  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entries_by_cid ON entries (room, user, cid) WHERE cid IS NOT NULL;
CREATE INDEX entries_by_target ON entries (room, target, kind, user, emoji)
        WHERE target IS NOT NULL;
CREATE INDEX entries_deleted ON entries (room, seq) WHERE deleted IS NOT NULL;
CREATE INDEX reactions_in_order ON reactions (room, target, emoji, seq);
CREATE UNIQUE INDEX events_by_id ON events (stream, by, id) WHERE id IS NOT NULL;
CREATE INDEX revocations_by_end ON revocations (before, key)
        WHERE kind = 'token' AND before > 0;
COMMIT;
PRAGMA user_version=4;
