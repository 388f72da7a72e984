/* ROW_SWITCH(most, rows, CALL): CALL(1), CALL(2), ... or CALL(most), by the number of rows: it is a constant
 * in each call, so that what is inlined there has one register an accumulator. most is a literal (or a macro
 * of one). */
#pragma once

#define ROW_SWITCH(most, rows, CALL) ROW_SWITCH_(most, rows, CALL)
#define ROW_SWITCH_(most, rows, CALL)                                                                        \
    switch (rows) { ROW_CASES_##most(CALL) }

#define ROW_CASE(n, CALL)                                                                                    \
    case n:                                                                                                  \
        CALL(n);                                                                                             \
        break;
#define ROW_DEFAULT(n, CALL)                                                                                 \
    default:                                                                                                 \
        CALL(n);                                                                                             \
        break;
#define ROW_CASES_BELOW_3(CALL) ROW_CASE(1, CALL) ROW_CASE(2, CALL)
#define ROW_CASES_BELOW_4(CALL) ROW_CASES_BELOW_3(CALL) ROW_CASE(3, CALL)
#define ROW_CASES_BELOW_6(CALL) ROW_CASES_BELOW_4(CALL) ROW_CASE(4, CALL) ROW_CASE(5, CALL)
#define ROW_CASES_BELOW_8(CALL) ROW_CASES_BELOW_6(CALL) ROW_CASE(6, CALL) ROW_CASE(7, CALL)

#define ROW_CASES_1(CALL) ROW_DEFAULT(1, CALL)
#define ROW_CASES_3(CALL) ROW_CASES_BELOW_3(CALL) ROW_DEFAULT(3, CALL)
#define ROW_CASES_4(CALL) ROW_CASES_BELOW_4(CALL) ROW_DEFAULT(4, CALL)
#define ROW_CASES_6(CALL) ROW_CASES_BELOW_6(CALL) ROW_DEFAULT(6, CALL)
#define ROW_CASES_8(CALL) ROW_CASES_BELOW_8(CALL) ROW_DEFAULT(8, CALL)
