/**
 * Ways in which a sink breaks its contract, each planted in `ledger/ledger-sink.ts`, and the cases of the contract that it
 * does not get past. Every case is here: none is in the contract that was never seen to catch something.
 */
export const bugZoo = {
  swapMissing: {
    is: 'what is stored is not compared with what is to be written',
    caughtBy: [
      'the same batch again doubles no row',
      'a batch that is contained doubles no row',
      'a batch that overlaps doubles no row',
      'a batch that reaches over both ends doubles no row',
      'a batch sent three times at once is stored once',
      'two owners that claim in turn, with pauses, on four partitions, store every offset once',
      'a gap is not written: the sink says where it stands',
      'through cuts, holes, delays and new owners at random every offset is stored once',
    ],
  },
  trimMissing: {
    is: 'the head of a batch that is stored already is stored again',
    caughtBy: ['a batch that overlaps doubles no row', 'a batch that reaches over both ends doubles no row'],
  },
  trimByCount: {
    is: 'a head is trimmed by counting rows from the base',
    caughtBy: ['holes stay holes, and a head is trimmed by offset, not by count'],
  },
  nextByCount: {
    is: 'the position after a batch is its base and its number of rows',
    caughtBy: [
      'holes stay holes, and a head is trimmed by offset, not by count',
      'a range that begins in a hole follows the one that ended before it',
      'a batch without rows moves the position',
    ],
  },
  followerRefused: {
    is: 'a batch that begins where the last one ended is taken for one beyond a gap',
    caughtBy: [
      'a batch that follows doubles no row',
      'a column that is added on the way is null in the rows before it',
    ],
  },
  gapIsDurable: {
    is: 'a gap is written over',
    caughtBy: [
      'a gap is not written: the sink says where it stands',
      'a store that was put back to an older backup is filled again from where it stands',
    ],
  },
  emptyForgotten: {
    is: 'a batch without rows is acknowledged, and moves nothing',
    caughtBy: [
      'a batch without rows moves the position',
      'poison everywhere in a batch is named, and the rest is stored',
    ],
  },
  rowsMiscounted: {
    is: 'rows that were stored before count as stored now',
    caughtBy: ['the same batch again doubles no row', 'a commit whose reply is lost is known to have happened'],
  },
  positionUnread: {
    is: 'a claim never tells the position',
    caughtBy: [
      'a partition that was never written has no position, then the one after its last batch',
      'positions and rows are there after close and open, and the old epoch is not',
    ],
  },
  rowsBeforePosition: {
    is: 'rows are committed before the position',
    caughtBy: [
      'kill -9 in the middle of writing leaves rows and position together, and the store to the next',
      'a connection cut after any number of bytes fromClient costs no row and doubles none',
    ],
  },
  positionBeforeRows: {
    is: 'the position is committed before the rows',
    caughtBy: [
      'kill -9 in the middle of writing leaves rows and position together, and the store to the next',
      'nothing of a poisoned batch is stored, and its position stays',
      'a commit that never arrived is known not to have happened',
    ],
  },
  oneMove: {
    is: 'of a load only the first position is moved',
    caughtBy: ['a load of many partitions moves the position of each'],
  },
  lockMissing: {
    is: 'positions are read without a lock, and not compared again at the commit',
    caughtBy: [
      'a batch sent three times at once is stored once',
      'of a zombie between its statements and the new owner each offset is stored by one',
    ],
  },
  positionsRemembered: {
    is: 'positions are compared with those that the sink remembers',
    caughtBy: [
      'a commit whose reply is lost is known to have happened',
      'a connection cut after any number of bytes fromServer costs no row and doubles none',
      'a writer that stood still before its first statement is fenced when it wakes',
    ],
  },
  epochIgnored: {
    is: 'epochs are not compared',
    caughtBy: [
      'a second claim fences the first for good, and sees what it wrote',
      'positions and rows are there after close and open, and the old epoch is not',
    ],
  },
  epochOfTheSink: {
    is: 'epochs are counted by each sink for itself',
    caughtBy: [
      'a claim by a sink that was away fences the one that came after it was made',
      'a second claim fences the first for good, and sees what it wrote',
    ],
  },
  oneForAll: {
    is: 'one batch that is fenced fences its neighbours in the load',
    caughtBy: ['what is refused of one batch keeps no other of the call from being written'],
  },
  groupIgnored: { is: 'groups share their positions', caughtBy: ['two groups are two readers, and both may write'] },
  routeIgnored: {
    is: 'routes share their positions',
    caughtBy: ['routes, topics and partitions have a position each'],
  },
  topicIdIgnored: {
    is: 'a topic made anew is taken for the old one',
    caughtBy: ['a topic made anew under its name starts anew, and fences the writer of the old one'],
  },
  poisonByTrimmedRow: {
    is: 'poison is named by its place among the rows that were sent',
    caughtBy: ['poison in a batch whose head is stored already is named by its place in the whole batch'],
  },
  poisonOneOff: {
    is: 'poison is named by its number, not by its index',
    caughtBy: [
      'poison first in a batch is named, and the rest is stored',
      'poison in the middle in a batch is named, and the rest is stored',
      'poison last in a batch is named, and the rest is stored',
    ],
  },
  poisonZeroOverlooked: {
    is: 'a first row is never poison',
    caughtBy: ['poison first in a batch is named, and the rest is stored'],
  },
  poisonLastOverlooked: {
    is: 'a last row is never poison',
    caughtBy: ['poison last in a batch is named, and the rest is stored'],
  },
  poisonTakesRest: {
    is: 'what comes after a poison row is poison too',
    caughtBy: [
      'poison at two places in a batch is named, and the rest is stored',
      'poison next to each other in a batch is named, and the rest is stored',
    ],
  },
  poisonTakesNeighbours: {
    is: 'a poisoned batch takes its neighbours in the load with it',
    caughtBy: ['a poisoned batch keeps its neighbours in a load from nothing, and writes nothing itself'],
  },
  partOfPoisonWritten: {
    is: 'the rows before a poison row are stored at once',
    caughtBy: ['nothing of a poisoned batch is stored, and its position stays'],
  },
  breakIsSuccess: {
    is: 'a connection that breaks has done its work',
    caughtBy: [
      'a commit that never arrived is known not to have happened',
      'a connection cut after any number of bytes fromClient costs no row and doubles none',
      'a zombie whose connection breaks gives its place free',
      'a connection that swallows everything is given up when the time for the write is over',
      'a server that crashes and comes back during a load is waited for, and nothing is a dead letter',
      'a write that is broken off leaves nothing behind',
    ],
  },
  outageIsPoison: {
    is: 'what cannot be written now is poison',
    caughtBy: [
      'a server that crashes and comes back during a load is waited for, and nothing is a dead letter',
      'a store that takes no rows for a while is waited for, row by row nothing is wrong, and each answer comes soon',
    ],
  },
  outageIsRefusal: {
    is: 'a full disk waits for an operator',
    caughtBy: [
      'a store that takes no rows for a while is waited for, row by row nothing is wrong, and each answer comes soon',
    ],
  },
  neverConnectsAgain: {
    is: 'a broken connection is kept',
    caughtBy: [
      'a connection that broke while nothing was under way is replaced',
      'a server that crashes and comes back during a load is waited for, and nothing is a dead letter',
    ],
  },
  deafToSignal: {
    is: 'a write is never broken off',
    caughtBy: ['a write that is broken off leaves nothing behind'],
  },
  impatient: { is: 'a slow network is a broken one', caughtBy: ['a slow network is only slow'] },
  addedColumnDropped: {
    is: 'values of an added column are dropped',
    caughtBy: ['a column that is added on the way is null in the rows before it'],
  },
  typesUnchecked: {
    is: 'types of columns are not looked at',
    caughtBy: ['a column of another type is refused with its name, and the table is what it was'],
  },
  openWithoutProof: {
    is: 'a store that forgets is trusted',
    caughtBy: ['a store that cannot keep the promise is refused at open, in words'],
  },
} satisfies Record<string, { readonly is: string; readonly caughtBy: readonly string[] }>

export type Bug = keyof typeof bugZoo
