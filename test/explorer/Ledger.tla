------------------------------- MODULE Ledger -------------------------------
(***************************************************************************)
(* One ledger: its writer, the nodes that hold it, and recoverers that     *)
(* race for its end. Written from the promises and rules of the protocol,  *)
(* not from its code, and as generous as safety allows: whoever waits for  *)
(* a time-out in the world may here go on, or stay silent, at any moment.  *)
(*                                                                         *)
(* What is left out because leaving it out takes no behaviour away:        *)
(*   - Silence. Nobody is obliged to take a step, so a lost message, a     *)
(*     dead writer and a dead recoverer are steps that never come.         *)
(*   - The answer FENCED. A writer that never hears it is the worse case.  *)
(*   - Payloads. An entry has one maker, and is known by its id.           *)
(* A recoverer here settles one entry before it looks at the next.         *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
  NodeCount, Recoverers,
  E, Qw, Qa,
  EntryCount,     \* the writer appends no more than so many
  ChangesMax,     \* places of the ensemble that are given anew, to another node or the same
  CrashesMax,     \* nodes that lose what was not synced
  DestroyedMax,   \* nodes that come back with an empty disk; the promises are made for Qa - 1
  ReplacesMax,    \* nodes that recoverers bring in
  FaultsMax,      \* all of these together
  Bugs            \* rules to break, each in a world of its own; {"none"} breaks none

VARIABLES
  meta,           \* the ledger's record in the metadata store, changed by compare-and-set on its version
  disk,           \* of each node: entries synced
  mem,            \* of each node: the writer's adds, admitted and not synced
  fence,          \* of each node: "no", "admitted" or "synced"
  blank,          \* of each node: it lost its disk, and knows that
  writer,
  members,        \* of each place of the ensemble: the stream of adds to the node that has it
  stray,          \* adds under way to nodes whose places were given anew
  rec,            \* of each recoverer: where it stands
  left,           \* how many faults may still come
  ends,           \* every end that a compare-and-set ever recorded
  bug             \* the rule that is broken here

NoEntry == -1
Nodes == 0 .. NodeCount - 1
Ids == 0 .. EntryCount - 1
Places == 0 .. E - 1
WriteSet(e) == {(e + i) % E : i \in 0 .. Qw - 1}
Blocking == Qw - Qa + 1
Larger(a, b) == IF a > b THEN a ELSE b
Least(s) == CHOOSE a \in s : \A b \in s : a <= b

Ensembles(first, nodes) == [first |-> first, nodes |-> nodes]
LastOf(ensembles) == ensembles[Len(ensembles)]
\* Another ensemble from `first` on, or in the place of one that begins there.
WithEnsemble(ensembles, first, nodes) ==
  LET Earlier(x) == x.first < first IN Append(SelectSeq(ensembles, Earlier), Ensembles(first, nodes))
EnsembleOf(e, ensembles) ==
  ensembles[CHOOSE i \in DOMAIN ensembles :
    ensembles[i].first <= e /\ \A j \in DOMAIN ensembles : ensembles[j].first <= e => j <= i]
MembersOf(e, ensembles) == LET nodes == EnsembleOf(e, ensembles).nodes IN {nodes[p] : p \in WriteSet(e)}
NodesOf(ensemble) == {ensemble.nodes[p] : p \in Places}

\* A broken world has only those faults that it takes to show it.
Needs ==
  [changes |-> {"lacNotFrozen", "countReplaced", "notResent", "changeFromNext", "changeUnrecorded", "changeUnchecked",
                "fenceUnsynced", "blankTakesAdds"},
   crashes |-> {"ackBeforeSync", "gapInStream", "fenceUnsynced"},
   destroyed |-> {"blankTakesAdds", "unknownIsAbsent"},
   replaces |-> {"forgetOwn"}]
Needed(kind, max) == IF bug = "none" \/ bug \in Needs[kind] THEN max ELSE 0
MayUse(count) == count > 0 /\ left.faults > 0

Idle == [phase |-> "idle"]
Over == [phase |-> "over"]

Init ==
  /\ bug \in Bugs
  /\ meta = [version |-> 1, state |-> "open", ensembles |-> <<Ensembles(0, [p \in Places |-> p])>>, last |-> NoEntry]
  /\ members = [p \in Places |-> [node |-> p, next |-> 0, acked |-> NoEntry, isOpen |-> TRUE]]
  /\ disk = [n \in Nodes |-> {}]
  /\ mem = [n \in Nodes |-> {}]
  /\ fence = [n \in Nodes |-> "no"]
  /\ blank = [n \in Nodes |-> FALSE]
  /\ writer = [state |-> "writing", version |-> 1, next |-> 0, lac |-> NoEntry, lacs |-> <<>>, nodes |-> <<>>]
  /\ stray = {}
  /\ rec = [r \in Recoverers |-> Idle]
  /\ left = [changes |-> Needed("changes", ChangesMax), crashes |-> Needed("crashes", CrashesMax),
             destroyed |-> Needed("destroyed", DestroyedMax), replaces |-> Needed("replaces", ReplacesMax),
             faults |-> FaultsMax]
  /\ ends = {}

-----------------------------------------------------------------------------
(* Nodes *)

\* A node that lost its disk may have lost a fence with it: it takes no more from the writer of a ledger that it may have held.
TakesAdds(n) == fence[n] = "no" /\ (~blank[n] \/ bug = "blankTakesAdds")

UnderWay(p) == {e \in Ids : members[p].next <= e /\ e < writer.next /\ p \in WriteSet(e)}

\* A stream keeps its order.
Admit(p) ==
  /\ members[p].isOpen
  /\ UnderWay(p) # {}
  /\ TakesAdds(members[p].node)
  /\ LET e == Least(UnderWay(p)) IN
     /\ mem' = [mem EXCEPT ![members[p].node] = @ \cup {e}]
     /\ members' = [members EXCEPT ![p].next = e + 1,
                                   ![p].acked = IF bug = "ackBeforeSync" THEN e ELSE @]
  /\ UNCHANGED <<meta, disk, fence, blank, writer, stray, rec, left, ends, bug>>

AdmitStray(add) ==
  /\ TakesAdds(add[1])
  /\ mem' = [mem EXCEPT ![add[1]] = @ \cup {add[2]}]
  /\ stray' = stray \ {add}
  /\ UNCHANGED <<meta, disk, fence, blank, writer, members, rec, left, ends, bug>>

\* One sync covers all that was admitted; its answer says: everything sent to you up to here.
Sync(n) ==
  /\ mem[n] # {} \/ fence[n] = "admitted"
  /\ disk' = [disk EXCEPT ![n] = @ \cup mem[n]]
  /\ mem' = [mem EXCEPT ![n] = {}]
  /\ fence' = [fence EXCEPT ![n] = IF @ = "admitted" THEN "synced" ELSE @]
  /\ members' = [p \in Places |->
       IF members[p].node = n /\ members[p].isOpen
       THEN [members[p] EXCEPT !.acked = Larger(@, members[p].next - 1)] ELSE members[p]]
  /\ UNCHANGED <<meta, blank, writer, stray, rec, left, ends, bug>>

\* Streams end with the process; what is under way in them is never admitted.
Broken(n) ==
  /\ members' = [p \in Places |->
       IF members[p].node = n /\ bug # "gapInStream" THEN [members[p] EXCEPT !.isOpen = FALSE, !.next = 0] ELSE members[p]]
  /\ stray' = {add \in stray : add[1] # n}
  /\ mem' = [mem EXCEPT ![n] = {}]

Crash(n) ==
  /\ MayUse(left.crashes)
  /\ left' = [left EXCEPT !.crashes = @ - 1, !.faults = @ - 1]
  /\ Broken(n)
  /\ fence' = [fence EXCEPT ![n] = IF @ = "admitted" THEN "no" ELSE @]
  /\ UNCHANGED <<meta, disk, blank, writer, rec, ends, bug>>

Destroy(n) ==
  /\ MayUse(left.destroyed)
  /\ left' = [left EXCEPT !.destroyed = @ - 1, !.faults = @ - 1]
  /\ Broken(n)
  /\ fence' = [fence EXCEPT ![n] = "no"]
  /\ disk' = [disk EXCEPT ![n] = {}]
  /\ blank' = [blank EXCEPT ![n] = TRUE]
  /\ UNCHANGED <<meta, writer, rec, ends, bug>>

LacOf(n) == LET lacs == {writer.lacs[e + 1] : e \in disk[n]} IN
  IF lacs = {} THEN NoEntry ELSE CHOOSE a \in lacs : \A b \in lacs : a >= b

-----------------------------------------------------------------------------
(* The writer *)

AppendEntry ==
  /\ writer.state # "over"
  /\ writer.next < EntryCount
  /\ writer' = [writer EXCEPT !.next = @ + 1,
                              !.lacs = Append(@, IF bug = "tellsTooMuch" THEN writer.next ELSE writer.lac)]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, members, stray, rec, left, ends, bug>>

\* Late answers need no state of their own: the writer may look at what was answered as late as it likes.
Confirm ==
  /\ writer.state = "writing" \/ (bug = "lacNotFrozen" /\ writer.state # "over")
  /\ LET e == writer.lac + 1 IN
     /\ e < writer.next
     /\ Cardinality({p \in WriteSet(e) : members[p].acked >= e}) >= (IF bug = "ackTooFew" THEN Qa - 1 ELSE Qa)
     /\ writer' = [writer EXCEPT !.lac = e]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, members, stray, rec, left, ends, bug>>

\* Some member failed or is slow: from here until it is decided, the LAC is frozen.
Propose ==
  /\ writer.state = "writing"
  /\ MayUse(left.changes)
  /\ left' = [left EXCEPT !.changes = @ - 1, !.faults = @ - 1]
  /\ writer' = [writer EXCEPT !.state = "changing"]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, members, stray, rec, ends, bug>>

NewStream(p, n) ==
  [node |-> n,
   next |-> IF bug = "notResent" THEN writer.next ELSE writer.lac + 1,
   acked |-> CASE bug = "notResent" -> writer.next - 1
               [] bug = "countReplaced" -> members[p].acked
               [] OTHER -> writer.lac,
   isOpen |-> TRUE]

Straying(p) == IF members[p].isOpen THEN {<<members[p].node, e>> : e \in UnderWay(p)} ELSE {}

IsMine == meta.state = "open" /\ meta.version = writer.version

\* The store decides; the writer does not know it yet.
CommitChange(p, n) ==
  /\ writer.state = "changing"
  /\ n \notin {members[q].node : q \in Places}
  /\ LET nodes == [q \in Places |-> IF q = p THEN n ELSE members[q].node]
         first == IF bug = "changeFromNext" THEN writer.next ELSE writer.lac + 1
         isMade == IsMine \/ bug = "changeUnchecked"
     IN
     /\ meta' = IF isMade /\ bug # "changeUnrecorded"
                THEN [meta EXCEPT !.version = @ + 1, !.ensembles = WithEnsemble(@, first, nodes)] ELSE meta
     /\ writer' = IF isMade THEN [writer EXCEPT !.state = "decided", !.version = meta.version + 1, !.nodes = <<p, n>>]
                  ELSE [writer EXCEPT !.state = "over"]
  /\ UNCHANGED <<disk, mem, fence, blank, members, stray, rec, left, ends, bug>>

LearnChange ==
  /\ writer.state = "decided"
  /\ LET p == writer.nodes[1] IN
     /\ members' = [members EXCEPT ![p] = NewStream(p, writer.nodes[2])]
     /\ stray' = stray \cup Straying(p)
  /\ writer' = [writer EXCEPT !.state = "writing", !.nodes = <<>>]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, rec, left, ends, bug>>

\* The node that had the place has it again: the metadata stays, and is not asked.
Rejoin(p) ==
  /\ writer.state = "changing"
  /\ members' = [members EXCEPT ![p] = NewStream(p, members[p].node)]
  /\ stray' = stray \cup Straying(p)
  /\ writer' = [writer EXCEPT !.state = "writing"]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, rec, left, ends, bug>>

CloseByWriter ==
  /\ writer.state = "writing"
  /\ writer.lac = writer.next - 1
  /\ writer' = [writer EXCEPT !.state = "over"]
  /\ IF IsMine
     THEN /\ meta' = [meta EXCEPT !.version = @ + 1, !.state = "closed", !.last = writer.lac]
          /\ ends' = ends \cup {writer.lac}
     ELSE UNCHANGED <<meta, ends>>
  /\ UNCHANGED <<disk, mem, fence, blank, members, stray, rec, left, bug>>

-----------------------------------------------------------------------------
(* Recoverers *)

Unasked == [n \in Nodes |-> "none"]

Begin(r) ==
  /\ rec[r].phase = "idle"
  /\ bug = "none" \/ bug = "closeUnchecked" \/ \A other \in Recoverers : rec[other].phase = "idle"
  /\ meta.state # "closed"
  /\ LET version == IF meta.state = "open" THEN meta.version + 1 ELSE meta.version IN
     /\ meta' = [meta EXCEPT !.version = version, !.state = "recovering"]
     /\ rec' = [rec EXCEPT ![r] =
          [phase |-> "fencing", version |-> version, ensembles |-> meta.ensembles, own |-> meta.ensembles,
           lac |-> LastOf(meta.ensembles).first - 1, fenced |-> {}]]
  /\ UNCHANGED <<disk, mem, fence, blank, writer, members, stray, left, ends, bug>>

Fences(r, n) ==
  \/ rec[r].phase = "fencing" /\ n \in NodesOf(LastOf(rec[r].ensembles))
  \/ rec[r].phase = "reading" /\ bug # "readUnfenced" /\ n \in MembersOf(rec[r].next, rec[r].ensembles)

AdmitFence(n) ==
  /\ fence[n] = "no"
  /\ \E r \in Recoverers : Fences(r, n)
  /\ fence' = [fence EXCEPT ![n] = "admitted"]
  /\ UNCHANGED <<meta, disk, mem, blank, writer, members, stray, rec, left, ends, bug>>

\* A fence is answered once it, and the adds in front of it, are synced.
IsFenced(n) ==
  CASE bug = "fenceOvertakes" -> fence[n] # "no"
    [] bug = "fenceUnsynced" -> fence[n] # "no" /\ mem[n] = {}
    [] OTHER -> fence[n] = "synced" /\ mem[n] = {}

FenceAnswered(r, n) ==
  /\ rec[r].phase = "fencing"
  /\ n \in NodesOf(LastOf(rec[r].ensembles)) \ rec[r].fenced
  /\ IsFenced(n)
  /\ rec' = [rec EXCEPT ![r].fenced = @ \cup {n}, ![r].lac = Larger(@, LacOf(n))]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, writer, members, stray, left, ends, bug>>

StartReading(r) ==
  /\ rec[r].phase = "fencing"
  /\ LET nodes == LastOf(rec[r].ensembles).nodes
     IN \A start \in Places : Cardinality({p \in WriteSet(start) : nodes[p] \in rec[r].fenced}) >= Blocking
  /\ rec' = [rec EXCEPT ![r] =
       [phase |-> "reading", version |-> @.version, ensembles |-> @.ensembles, own |-> @.own,
        next |-> @.lac + (IF bug = "startTooLate" THEN 2 ELSE 1), said |-> Unasked]]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, writer, members, stray, left, ends, bug>>

\* A fencing read.
Read(r, n) ==
  /\ rec[r].phase = "reading"
  /\ n \in MembersOf(rec[r].next, rec[r].ensembles)
  /\ rec[r].said[n] = "none"
  /\ IsFenced(n) \/ bug = "readUnfenced"
  /\ rec' = [rec EXCEPT ![r].said[n] =
       CASE rec[r].next \in disk[n] -> "found"
         [] blank[n] /\ bug # "unknownIsAbsent" -> "unknown"
         [] OTHER -> "absent"]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, writer, members, stray, left, ends, bug>>

IsFound(r) == \E n \in Nodes : rec[r].said[n] = "found"
Has(r, n) == rec[r].said[n] \in {"found", "written"}

\* To whom it lacks, or is silent. On the disk or not at all: what is lost on the way is never answered.
WriteBack(r, n) ==
  /\ rec[r].phase = "reading"
  /\ IsFound(r)
  /\ n \in MembersOf(rec[r].next, rec[r].own)
  /\ ~Has(r, n)
  /\ disk' = [disk EXCEPT ![n] = @ \cup {rec[r].next}]
  /\ rec' = [rec EXCEPT ![r].said[n] = "written"]
  /\ UNCHANGED <<meta, mem, fence, blank, writer, members, stray, left, ends, bug>>

Settled(r) ==
  /\ rec[r].phase = "reading"
  /\ IsFound(r)
  /\ \/ Cardinality({n \in MembersOf(rec[r].next, rec[r].own) : Has(r, n)}) >= Qa
     \/ bug = "noWriteBack"
  /\ rec' = [rec EXCEPT ![r].next = @ + 1, ![r].said = Unasked]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, writer, members, stray, left, ends, bug>>

\* Another node in the place of one that takes no write-back: the recoverer's own until the ledger is closed with it.
Replace(r, p, n) ==
  /\ rec[r].phase = "reading"
  /\ MayUse(left.replaces)
  /\ IsFound(r)
  /\ n \notin NodesOf(LastOf(rec[r].own))
  /\ p \in WriteSet(rec[r].next)
  /\ left' = [left EXCEPT !.replaces = @ - 1, !.faults = @ - 1]
  /\ rec' = [rec EXCEPT ![r].own = WithEnsemble(@, rec[r].next, [LastOf(@).nodes EXCEPT ![p] = n])]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, writer, members, stray, ends, bug>>

FindEnd(r) ==
  /\ rec[r].phase = "reading"
  /\ ~IsFound(r)
  /\ Cardinality({n \in MembersOf(rec[r].next, rec[r].ensembles) : rec[r].said[n] = "absent"})
       >= (IF bug = "oneAbsentEnds" THEN 1 ELSE Blocking)
  /\ rec' = [rec EXCEPT ![r] =
       [phase |-> "ending", version |-> @.version, last |-> @.next - 1,
        own |-> IF bug = "forgetOwn" THEN @.ensembles ELSE @.own]]
  /\ UNCHANGED <<meta, disk, mem, fence, blank, writer, members, stray, left, ends, bug>>

\* Who loses adopts what the record says.
CloseByRecoverer(r) ==
  /\ rec[r].phase = "ending"
  /\ IF meta.version = rec[r].version \/ bug = "closeUnchecked"
     THEN /\ meta' = [version |-> meta.version + 1, state |-> "closed", ensembles |-> rec[r].own, last |-> rec[r].last]
          /\ ends' = ends \cup {rec[r].last}
     ELSE UNCHANGED <<meta, ends>>
  /\ rec' = [rec EXCEPT ![r] = Over]
  /\ UNCHANGED <<disk, mem, fence, blank, writer, members, stray, left, bug>>

-----------------------------------------------------------------------------

Next ==
  \/ AppendEntry \/ Confirm \/ Propose \/ LearnChange \/ CloseByWriter
  \/ \E p \in Places : Admit(p) \/ Rejoin(p) \/ \E n \in Nodes : CommitChange(p, n)
  \/ \E add \in stray : AdmitStray(add)
  \/ \E n \in Nodes : Sync(n) \/ Crash(n) \/ Destroy(n) \/ AdmitFence(n)
  \/ \E r \in Recoverers :
       \/ Begin(r) \/ StartReading(r) \/ Settled(r) \/ FindEnd(r) \/ CloseByRecoverer(r)
       \/ \E n \in Nodes : FenceAnswered(r, n) \/ Read(r, n) \/ WriteBack(r, n) \/ \E p \in Places : Replace(r, p, n)

Symmetry == Permutations(Recoverers)

-----------------------------------------------------------------------------
(* The promises *)

\* Every entry is on Qa of the nodes that the metadata names for it, but for those whose disks were destroyed.
IsKept(e) ==
  LET nodes == MembersOf(e, meta.ensembles) IN
  Cardinality({n \in nodes : e \in disk[n]}) >= Qa - Cardinality({n \in nodes : blank[n]})

AcknowledgedIsKept == \A e \in Ids : e <= writer.lac => IsKept(e)

\* Closed at L: nothing past L was ever acknowledged, or ever will be.
AcknowledgedIsWithin == meta.state = "closed" => writer.lac <= meta.last

\* Closed at L is L for everyone, for ever.
OneEnd == Cardinality(ends) <= 1 /\ (meta.state = "closed" => ends = {meta.last})

\* Whoever reads a closed ledger finds all of it.
ClosedIsWhole == meta.state = "closed" => \A e \in Ids : e <= meta.last => IsKept(e)

\* What readers of an open ledger are told of is acknowledged.
ToldIsAcknowledged == \A n \in Nodes : LacOf(n) <= writer.lac

-----------------------------------------------------------------------------
(* Many broken worlds in one run: each ends where a promise does not hold  *)
(* in it, and what does not hold is told.                                  *)

AllBugs == <<
  "ackTooFew",        \* an entry is acknowledged by fewer than Qa nodes
  "ackBeforeSync",    \* a node answers an add before it is synced
  "gapInStream",      \* a stream goes on behind adds that a crash took
  "lacNotFrozen",     \* entries are acknowledged while a change of the ensemble is decided
  "countReplaced",    \* what a replaced node confirmed counts for the node in its place
  "tellsTooMuch",     \* adds carry as LAC what is not acknowledged
  "notResent",        \* who takes a place does not get what is not acknowledged yet
  "changeFromNext",   \* another ensemble begins behind the entries that are under way
  "changeUnrecorded", \* a new node is written to, and the store is not told
  "changeUnchecked",  \* the ensemble is changed without comparing the version
  "fenceOvertakes",   \* a fence is answered before the adds in front of it are synced
  "fenceUnsynced",    \* a fence is answered before it is synced
  "blankTakesAdds",   \* a node that lost its disk, and its fences, takes adds of ledgers that it may have held
  "readUnfenced",     \* a recoverer's reads do not fence
  "unknownIsAbsent",  \* a node that lost its disk says that it has no such entry
  "oneAbsentEnds",    \* one node that lacks an entry ends the ledger
  "startTooLate",     \* recovery trusts an entry past the LAC to be safe
  "noWriteBack",      \* the ledger ends behind entries that fewer than Qa nodes have
  "forgetOwn",        \* the nodes that a recoverer brought in are not recorded
  "closeUnchecked"    \* the end is recorded without comparing the version
>>

NumberOf(b) == CHOOSE i \in DOMAIN AllBugs : AllBugs[i] = b
Promises == <<
  <<"AcknowledgedIsKept", AcknowledgedIsKept>>, <<"AcknowledgedIsWithin", AcknowledgedIsWithin>>, <<"OneEnd", OneEnd>>,
  <<"ClosedIsWhole", ClosedIsWhole>>, <<"ToldIsAcknowledged", ToldIsAcknowledged>> >>
Unkept == SelectSeq(Promises, LAMBDA promise : ~promise[2])

ASSUME Bugs \subseteq ({"none"} \cup {AllBugs[i] : i \in DOMAIN AllBugs})
ASSUME \A i \in DOMAIN AllBugs : TLCSet(i, FALSE)

NextOfMany == ~TLCGet(NumberOf(bug)) /\ Next
Tell ==
  \/ Unkept = <<>>
  \/ TLCGet(NumberOf(bug))
  \/ TLCSet(NumberOf(bug), TRUE) /\ PrintT(<<"broken", bug, Unkept[1][1], TLCGet("level")>>)

=============================================================================
