// Tells whether rows come in small groups that differ much less among themselves than from the others.
#pragma once

#include "monitor.hpp"
#include "view.hpp"

namespace kernalign {

// Share of the rows looked at that have from 1 to min(32, n / 16) others at a tenth or less of the distance of the next
// nearest; 0 if it is not over a third, if the rows are whole numbers, or if one of them is not finite. Distances are
// L1, over the 8 middle columns, of at most 32 rows to the first 2^17, before preprocessing: of unrelated rows none is
// so near, unless they lie on a line. Holds 20 kB.
double share_of_near_rows(const Rows& rows, Monitor* monitor);

// What rows look like at a glance, as they are given: whether it is worth to look again. Bits.
enum Looks : int {
    kRepeats = 1,    // share_of_near_rows is not 0, or the middle one of the columns has equal values
    kUnknown = 2,    // there are more than 2^11 rows, whose middle column was not looked at
    kDistances = 4,  // as many rows as columns, with a zero first
    kCounts = 8      // the first or the last column ends at the number of rows, less 1, from where it begins
};
int looks_of(const Rows& rows, Monitor* monitor);

}  // namespace kernalign
