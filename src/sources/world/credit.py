"""All that can be turned in the world's lending. Money is cents, times are days unless said otherwise.

Defaults give the marginals of the Czech bank data of 1999 where those are published: 682 loans on 4,500 accounts, terms
of one to five years in equal shares, 76 loans bad (11%). There a loan's bad end is seen up to five years long, so it is
compared with default over the whole life of a loan.

[1] Berka (1999), PKDD'99 Discovery Challenge, Guide to the financial data set.
[2] Basel Committee (2006), International Convergence of Capital Measurement: 90 days past due, paragraph 452; loss
    given default 45% for senior unsecured claims, paragraph 287.
"""

from dataclasses import dataclass

from contracts.errors import Refused

PURPOSES = ("car", "debts", "home", "studies", "travel")
HOUSINGS = ("parents", "tenant", "owner")
TERMS = (12, 24, 36, 48, 60)


@dataclass(frozen=True)
class Credit:
    """One lender, those who ask it for money, and how they pay.

    Who asks
    applies            share of customers who apply at all
    again              share of these who apply a second time
    wait               mean days from the first purchase to an application, and from that to a second one
    need               by which a standard deviation of financial strength keeps from applying, on the probit scale
    What the form says; `loads_` is a correlation with financial strength
    income             median a month; `income_spread` is the standard deviation of its logarithm
    burden             median share of income that is asked for as a monthly instalment; `burden_spread` likewise
    loads_income, loads_employment, loads_bureau, loads_burden, loads_housing
    no_file            share of applications of which the bureau knows nothing
    loans              mean number of loans elsewhere at average strength; `loans_slope`: a standard deviation of
                       strength takes this off its logarithm
    purposes           shares of PURPOSES
    housings           shares of HOUSINGS at average strength
    rate               nominal interest a year
    What the lender does
    accepts            share of applications accepted
    weigh_bureau, weigh_income, weigh_burden   in the policy's score, of standard scores
    insight            weight of true strength, that an officer sees and no column holds; 0: accepted at random given
                       the form
    noise              standard deviation of what else moves an officer
    overrides          share of decisions that are turned round
    limits             limits granted, as multiples of the amount asked for, drawn with shares `limit_shares`
    usage              share of a limit that is drawn where the limit is the amount asked for, at average strength
    usage_elasticity   of the amount drawn to the limit, its mean among customers; at most 1
    usage_spread       standard deviation of the score of usage, and of the logarithm of that elasticity
    pd_elasticity      change of the log-odds of missing an instalment by the logarithm of the limit over the amount
    frailty            by which a standard deviation of strength lowers the logarithm of that change
    How people pay
    level              log-odds of missing an instalment, of an average applicant
    by_strength, by_burden, by_year, by_young   what a standard deviation of strength takes off, what one of burden, a
                       year of term beyond three and ten years below age 30 add
    by_purpose         what each of PURPOSES adds
    peak, shape        instalment at which risk peaks, and how strongly it rises and falls around it (vintage)
    macro              change of the log-odds in a calendar year
    rolls              log-odds of paying nothing when one, and when two, instalments are behind
    roll_slope         by which the log-odds of missing an instalment, above the level, raise those
    cures              probability that who pays something while behind pays all of it
    partial            probability that who clears nothing pays a part of the oldest instalment
    punctual           log-odds of paying by the due day, among those who pay within the month; `punctual_slope` is what
                       a standard deviation of strength adds
    lgd                loss given default at average strength where not all is recovered; `lgd_slope` on the logit scale
    lgd_precision      of its beta distribution, a + b
    whole              share of defaults of which all is recovered
    recovery           months over which recoveries come
    horizon            months after the start within which default counts as bad
    funding            what the lent money costs, a year
    """

    applies: float = 0.22
    again: float = 0.15
    wait: float = 60.0
    need: float = 0.3
    income: int = 300_000
    income_spread: float = 0.45
    burden: float = 0.12
    burden_spread: float = 0.5
    loads_income: float = 0.55
    loads_employment: float = 0.35
    loads_bureau: float = 0.65
    loads_burden: float = -0.3
    loads_housing: float = 0.4
    no_file: float = 0.12
    loans: float = 0.7
    loans_slope: float = 0.35
    purposes: tuple[float, ...] = (0.3, 0.2, 0.25, 0.1, 0.15)
    housings: tuple[float, ...] = (0.15, 0.4, 0.45)
    rate: float = 0.12
    accepts: float = 0.6
    weigh_bureau: float = 1.0
    weigh_income: float = 0.5
    weigh_burden: float = 0.4
    insight: float = 0.2
    noise: float = 0.5
    overrides: float = 0.04
    limits: tuple[float, ...] = (0.6, 0.8, 1.0, 1.25)
    limit_shares: tuple[float, ...] = (0.2, 0.25, 0.35, 0.2)
    usage: float = 0.75
    usage_elasticity: float = 0.6
    usage_spread: float = 0.4
    pd_elasticity: float = 1.0
    frailty: float = 0.3
    level: float = -4.7
    by_strength: float = 1.3
    by_burden: float = 0.4
    by_year: float = 0.1
    by_young: float = 0.5
    by_purpose: tuple[float, ...] = (0.0, 0.4, -0.2, 0.1, 0.2)
    peak: float = 5.0
    shape: float = 1.0
    macro: float = 0.15
    rolls: tuple[float, float] = (-0.3, 0.5)
    roll_slope: float = 0.5
    cures: float = 0.6
    partial: float = 0.3
    punctual: float = 1.3
    punctual_slope: float = 0.6
    lgd: float = 0.55
    lgd_slope: float = 0.3
    lgd_precision: float = 3.0
    whole: float = 0.15
    recovery: int = 6
    horizon: int = 12
    funding: float = 0.03

    def __post_init__(self):
        kept = (self.accepts - self.overrides) / (1 - 2 * self.overrides) if self.overrides < 0.5 else 0.0
        if not 0 < kept < 1:
            raise Refused(
                f"A share of {self.overrides} turned round leaves no policy that accepts {self.accepts}. Lower "
                "`overrides` below both the share accepted and the share refused."
            )
        for shares, of in (("purposes", PURPOSES), ("by_purpose", PURPOSES), ("housings", HOUSINGS),
                           ("limit_shares", self.limits)):  # fmt: skip
            if len(getattr(self, shares)) != len(of):
                raise Refused(f"`{shares}` must have {len(of)} entries, but has {len(getattr(self, shares))}.")
        if not 4 <= self.horizon <= TERMS[0]:
            raise Refused(f"`horizon` must lie between 4 and {TERMS[0]} months, but is {self.horizon}. Change it.")
