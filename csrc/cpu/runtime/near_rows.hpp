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

}  // namespace kernalign
